"""TensorFlow Serving's configuration files, as text: the models to serve, the metrics page, the batches."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from google.protobuf import text_format

from portable_model_server.errors import invalid
from portable_model_server.serving.batching import BatchingParameters
from portable_model_server.serving.version_policy import Latest, VersionPolicy, policy_from_proto
from serving_api.messages import BatchingParameters as BatchingParametersProto
from serving_api.messages import ModelConfig as ModelConfigProto
from serving_api.messages import ModelServerConfig, MonitoringConfig

_Config = TypeVar("_Config", ModelServerConfig, MonitoringConfig, BatchingParametersProto)

TENSORFLOW_PLATFORM = "tensorflow"
# Source: PrometheusExporter::kPrometheusPath in tensorflow_serving/util/prometheus_exporter.cc.
# Source: BasicBatchScheduler::Options in tensorflow/core/kernels/batching_util/basic_batch_scheduler.h.
_MAX_BATCH_SIZE, _MAX_ENQUEUED_BATCHES = 1000, 10
DEFAULT_METRICS_PATH = "/monitoring/prometheus/metrics"
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9.]*)://")


@dataclass(frozen=True)
class ModelConfig:
    """A model to serve.

    Attributes:
        name: Name by which callers ask for it.
        base_path: Folder that holds its version folders.
        policy: Which of its versions to serve.
        labels: Version numbers by their labels.
    """

    name: str
    base_path: Path
    policy: VersionPolicy = field(default_factory=Latest)
    labels: Mapping[str, int] = field(default_factory=dict)


def single_model(name: str, base_path: str) -> list[ModelConfig]:
    """Return the configuration that ``--model_name`` and ``--model_base_path`` describe.

    Raises:
        ServingError: The path is not absolute.
    """
    return [ModelConfig(name, _absolute(name, base_path))]


def parse_models(text: str) -> list[ModelConfig]:
    """Return the models of a text ModelServerConfig.

    Raises:
        ServingError: The text cannot be parsed, or asks for something that this server does not do.
    """
    config = _parse(text, ModelServerConfig)
    if config.WhichOneof("config") == "custom_model_config":
        raise invalid("custom_model_config is not supported: list the models in model_config_list")
    models: dict[str, ModelConfig] = {}
    for entry in config.model_config_list.config:
        if entry.name in models:
            raise invalid(f"Illegal to list model {entry.name} multiple times in config list")
        models[entry.name] = _model(entry)
    return list(models.values())


def metrics_path(text: str) -> str | None:
    """Return the path of the metrics page that a text MonitoringConfig sets; None if it does not enable the page.

    Raises:
        ServingError: The text cannot be parsed.
    """
    config = _parse(text, MonitoringConfig).prometheus_config
    return (config.path or DEFAULT_METRICS_PATH) if config.enable else None


def batching_parameters(text: str) -> BatchingParameters:
    """Return what a text BatchingParameters sets, with TensorFlow Serving's defaults for the rest.

    ``batch_timeout_micros`` and ``thread_pool_name`` have no effect: no call waits for others to come.

    Raises:
        ServingError: The text cannot be parsed, or asks for something that this server does not do.
    """
    proto = _parse(text, BatchingParametersProto)
    if proto.pad_variable_length_inputs:
        raise invalid("pad_variable_length_inputs is not supported: inputs of different sizes never share a batch")

    def above_zero(name: str, default: int) -> int:
        value: int = getattr(proto, name).value if proto.HasField(name) else default  # type: ignore[arg-type]
        if value < 1:
            raise invalid(f"{name} must be positive; was {value}")
        return value

    size = above_zero("max_batch_size", _MAX_BATCH_SIZE)
    allowed = tuple(proto.allowed_batch_sizes)
    if allowed and (list(allowed) != sorted(set(allowed)) or allowed[0] < 1 or allowed[-1] != size):
        raise invalid(f"allowed_batch_sizes must be positive, ascend, and end with max_batch_size ({size})")
    return BatchingParameters(
        max_batch_size=size,
        max_enqueued_batches=above_zero("max_enqueued_batches", _MAX_ENQUEUED_BATCHES),
        num_batch_threads=above_zero("num_batch_threads", 1) if proto.HasField("num_batch_threads") else None,
        allowed_batch_sizes=allowed,
        enable_large_batch_splitting=proto.enable_large_batch_splitting.value,
    )


def read_text(path: str) -> str:
    """Read a configuration file.

    Raises:
        ServingError: The file cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise invalid(f"Cannot read {path}: {reason}") from None


def _parse(text: str, message: type[_Config]) -> _Config:
    try:
        return text_format.Parse(text, message())
    except text_format.ParseError as error:
        raise invalid(f"Error parsing text-format {message.DESCRIPTOR.full_name}: {error}") from None


def _model(entry: ModelConfigProto) -> ModelConfig:
    # model_type 1 is the deprecated form of the platform "tensorflow".
    if not entry.model_platform and not entry.model_type:
        raise invalid(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform."
        )
    if entry.model_platform not in ("", TENSORFLOW_PLATFORM) or entry.model_type > 1:
        raise invalid(f"Model {entry.name} requests unsupported platform {entry.model_platform or entry.model_type}")
    if not entry.name:
        raise invalid("A model of the config list has no name")
    return ModelConfig(
        entry.name,
        _absolute(entry.name, entry.base_path),
        policy_from_proto(entry.model_version_policy),
        dict(entry.version_labels),
    )


def _absolute(name: str, base_path: str) -> Path:
    scheme = _SCHEME.match(base_path)
    if scheme and scheme[1] != "file":
        raise invalid(
            f"The base path of model {name} begins with {scheme[0]}, and only files are read here: copy or mount the "
            f"folder that holds its version folders, and give its absolute path; got base_path()={base_path}"
        )
    path = Path(base_path.removeprefix("file://"))
    if not path.is_absolute():
        raise invalid(f"Expected model {name} to have an absolute path or URI; got base_path()={base_path}")
    return path
