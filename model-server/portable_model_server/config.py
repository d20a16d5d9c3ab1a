"""Which models to serve: one by flags, or several by a text ModelServerConfig."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from portable_model_server.errors import invalid
from portable_model_server.versions import Latest, VersionPolicy, policy_from_proto
from serving_api.messages import ModelServerConfig, MonitoringConfig

TENSORFLOW_PLATFORM = "tensorflow"
# Source: PrometheusExporter::kPrometheusPath in tensorflow_serving/util/prometheus_exporter.cc.
DEFAULT_METRICS_PATH = "/monitoring/prometheus/metrics"


@dataclass(frozen=True)
class ModelConfig:
    """A model to serve.

    Attributes:
        name: what callers ask for.
        base_path: the folder of its version folders.
        policy: which of those to serve.
        labels: names for versions.
    """

    name: str
    base_path: Path
    policy: VersionPolicy = field(default_factory=Latest)
    labels: Mapping[str, int] = field(default_factory=dict)


def single_model(name: str, base_path: str) -> list[ModelConfig]:
    """The configuration that ``--model_name`` and ``--model_base_path`` give.

    Raises:
        ServingError: the path is not absolute.
    """
    return [ModelConfig(name, _absolute(name, base_path))]


def parse_models(text: str) -> list[ModelConfig]:
    """The models of a text ModelServerConfig.

    Raises:
        ServingError: it cannot be read, or asks for what this server does not do.
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
    """The path that a text MonitoringConfig puts the metrics at; None if it does not enable them.

    Raises:
        ServingError: it cannot be read.
    """
    config = _parse(text, MonitoringConfig).prometheus_config
    return (config.path or DEFAULT_METRICS_PATH) if config.enable else None


def read_text(path: str) -> str:
    """A configuration file's text.

    Raises:
        ServingError: it cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise invalid(f"Cannot read {path}: {reason}") from None


def _parse(text: str, message: Any) -> Any:
    try:
        return text_format.Parse(text, message())
    except text_format.ParseError as error:
        raise invalid(f"Error parsing text-format {message.DESCRIPTOR.full_name}: {error}") from None


def _model(entry: Any) -> ModelConfig:
    # model_type 1 is the deprecated way to say "tensorflow".
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
    path = Path(base_path)
    if not path.is_absolute():
        raise invalid(f"Expected model {name} to have an absolute path or URI; got base_path()={base_path}")
    return path
