"""The command line: TensorFlow Serving's flags under their own names, and the few that only this server has."""

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

ENGINES = ("", "openvino", "tensorflow")
PRECISIONS = ("", "float32", "int8")


class Kind(enum.StrEnum):
    """What a flag takes. Source: main.cc and server.h of tensorflow_model_server 2.20."""

    BOOL = "true or false"
    INT32 = "a whole number of 32 bits"
    INT64 = "a whole number of 64 bits"
    FLOAT = "a number"
    STRING = "a text"


# Flags of tensorflow_model_server 2.20 that change only speed or memory: the server accepts them and logs a warning.
WITHOUT_EFFECT = {
    "enable_per_model_batching_parameters": (Kind.BOOL, "all models have the same batching parameters"),
    "num_load_threads": (Kind.INT32, "each model loads in a thread of its own"),
    "num_unload_threads": (Kind.INT32, "each model unloads in a thread of its own"),
    "flush_filesystem_caches": (Kind.BOOL, "file system caches are left alone"),
    "remove_unused_fields_from_bundle_metagraph": (Kind.BOOL, "nothing unused is kept"),
    "enable_signature_method_name_check": (Kind.BOOL, "method names are not checked"),
    "per_process_gpu_memory_fraction": (Kind.FLOAT, "there is no GPU support"),
    "tensorflow_session_config_file": (Kind.STRING, "sessions take the flags for threads alone"),
    "thread_pool_factory_config_file": (Kind.STRING, "threads follow the CPU limit"),
    "mixed_precision": (Kind.STRING, "models run in float32"),
    "xla_cpu_compilation_enabled": (Kind.BOOL, "there is no XLA"),
    "xla_gpu_compilation_enabled": (Kind.BOOL, "there is no XLA"),
    "skip_initialize_tpu": (Kind.BOOL, "there is no TPU support"),
    "enable_profiler": (Kind.BOOL, "there is no profiler"),
    "num_tflite_pools": (Kind.INT32, "there is no TF Lite"),
    "num_tflite_interpreters_per_pool": (Kind.INT32, "there is no TF Lite"),
}
# Flags that the server refuses: without them it would serve something else than was asked for, or less safely.
REFUSED = {
    "ssl_config_file": (Kind.STRING, "there is no TLS; put a proxy in front or use tensorflow/serving"),
    "use_alts_credentials": (Kind.BOOL, "there is no ALTS"),
    "platform_config_file": (Kind.STRING, "there is no platform but tensorflow"),
    "saved_model_tags": (Kind.STRING, "only graphs tagged 'serve' are served"),
    "prefer_tflite_model": (Kind.BOOL, "there is no TF Lite"),
}
# Values with which the flags of both tables ask for nothing special; False is 0 too.
NO_OP_VALUES = ("", False, "serve")


class MalformedFlag(ValueError):
    """The value of a flag cannot be read; the message names the flag."""


_KINDS = {bool: Kind.BOOL, int: Kind.INT32, str: Kind.STRING}


def _flag(default: Any, text: str, kind: Kind | None = None) -> Any:
    """A flag. Without its kind, it follows from the default; None as a default is "not given"."""
    return field(default=default, metadata={"help": text, "kind": kind or _KINDS[type(default)]})


@dataclass(frozen=True)
class Flags:
    """Every flag that has an effect, with TensorFlow Serving's default."""

    port: int = _flag(8500, "port for gRPC; 0 for none")
    grpc_socket_path: str = _flag("", "UNIX socket on which gRPC listens too")
    rest_api_port: int = _flag(0, "port for HTTP/REST; 0 for none")
    rest_api_num_threads: int = _flag(0, "REST predictions at once; 0 for 4 x the CPU limit")
    rest_api_timeout_in_ms: int = _flag(30_000, "how long a REST prediction may take; 0 or less is for ever")
    rest_api_enable_cors_support: bool = _flag(False, "web pages of any origin may read REST's responses")
    model_name: str = _flag("default", "name of the one model (ignored with --model_config_file)")
    model_base_path: str = _flag("", "absolute path of the folder that holds its version folders")
    model_config_file: str = _flag("", "text ModelServerConfig: several models, version policies, labels")
    model_config_file_poll_wait_seconds: int = _flag(0, "seconds between readings of that file; 0 reads it once")
    file_system_poll_wait_seconds: int = _flag(1, "seconds between polls for versions; 0 polls once, negative never")
    max_num_load_retries: int = _flag(5, "how often a failed load is tried again")
    load_retry_interval_micros: int = _flag(60_000_000, "microseconds between those tries", Kind.INT64)
    allow_version_labels_for_unavailable_models: bool = _flag(False, "labels may be new ones of versions not loaded")
    enable_model_warmup: bool = _flag(True, "replay assets.extra/tf_serving_warmup_requests before serving")
    num_request_iterations_for_warmup: int = _flag(0, "how often each of its records is run, if above 0")
    tensorflow_session_parallelism: int = _flag(0, "sets both of the next two", Kind.INT64)
    tensorflow_intra_op_parallelism: int = _flag(0, "threads of one operation; 0 follows the CPU limit", Kind.INT64)
    tensorflow_inter_op_parallelism: int = _flag(0, "operations at once; OpenVINO gets the larger one", Kind.INT64)
    grpc_channel_arguments: str = _flag("", "gRPC server options, e.g. grpc.max_connection_age_ms=10000,...")
    grpc_max_threads: int = _flag(0, "gRPC calls at once, further ones are refused; 0 for 4 x the CPU limit")
    enable_batching: bool | None = _flag(None, "waiting calls share predictions; unset: where it pays", Kind.BOOL)
    batching_parameters_file: str = _flag("", "text BatchingParameters, with --enable_batching")
    enable_grpc_healthcheck_service: bool = _flag(False, "serve grpc.health.v1.Health")
    enable_serialization_as_tensor_content: bool = _flag(False, "respond with tensor_content, not with typed fields")
    monitoring_config_file: str = _flag("", "text MonitoringConfig: Prometheus metrics on the REST port")
    version: bool = _flag(False, "print the version and end")
    engine: str = _flag("", "own flag: openvino or tensorflow; unset is OpenVINO, TensorFlow for what it cannot run")
    precision: str = _flag("", "own flag: float32 or int8 (OpenVINO); unset is what the model's metadata recommends")
    host: str = _flag("::", "own flag: address to listen on; :: is every address, of IPv4 too")
    max_message_bytes: int = _flag(16 << 20, "own flag: largest gRPC request or REST body", Kind.INT64)
    shutdown_grace_seconds: int = _flag(30, "own flag: how long calls in flight may go on after SIGTERM")

    def __post_init__(self) -> None:
        """Check what the types cannot express.

        Raises:
            MalformedFlag: A value is out of its range.
        """
        for name in ("port", "rest_api_port"):
            if not 0 <= getattr(self, name) <= 65535:
                raise MalformedFlag(f"--{name} must be a port from 0 to 65535")
        for name in ("grpc_max_threads", "rest_api_num_threads", "max_num_load_retries", "shutdown_grace_seconds"):
            if getattr(self, name) < 0:
                raise MalformedFlag(f"--{name} must not be negative")
        if self.batching_parameters_file and not self.enable_batching:
            raise MalformedFlag("--batching_parameters_file is set without setting --enable_batching to true")
        if self.max_message_bytes <= 0:
            raise MalformedFlag("--max_message_bytes must be above 0")
        if self.engine not in ENGINES:
            raise MalformedFlag("--engine must be openvino or tensorflow")
        if self.precision not in PRECISIONS:
            raise MalformedFlag("--precision must be float32 or int8")

    @property
    def grpc_options(self) -> list[tuple[str, int | str]]:
        """``--grpc_channel_arguments`` as options; a value that looks like an int32 becomes one.

        Raises:
            MalformedFlag: An argument has no ``=``.
        """
        options: list[tuple[str, int | str]] = []
        for argument in filter(None, self.grpc_channel_arguments.split(",")):
            key, equals, value = argument.partition("=")
            if not key or not equals:
                raise MalformedFlag(f"--grpc_channel_arguments: {argument!r} is not KEY=VALUE")
            number = _integer(value, bits=32)
            options.append((key, value if number is None else number))
        return options


@dataclass(frozen=True)
class CommandLine:
    """A parsed command line.

    Attributes:
        flags: The flags that have an effect.
        unknown: Arguments that are not a flag of this server or of TensorFlow Serving.
        without_effect: Names from ``WITHOUT_EFFECT`` that were given with a value that asks for something.
        refused: Names from ``REFUSED`` that were given with a value that asks for something.
    """

    flags: Flags
    unknown: list[str]
    without_effect: list[str]
    refused: list[str]


def parse(arguments: Sequence[str]) -> CommandLine:
    """Read a command line as tensorflow_model_server does: only ``--flag=value``, and ``--flag`` for a bool.

    A value is read whether or not its flag has an effect, so that what starts here starts there.

    Raises:
        MalformedFlag: A value is of the wrong kind.
    """
    own: dict[str, Kind] = {item.name: item.metadata["kind"] for item in fields(Flags)}
    kinds = own | {name: kind for name, (kind, _) in (WITHOUT_EFFECT | REFUSED).items()}
    arguments = list(arguments)
    end = arguments.index("--") if "--" in arguments else len(arguments)
    values: dict[str, Any] = {}
    unknown: list[str] = []
    for argument in arguments[:end]:
        name, equals, text = argument.removeprefix("--").partition("=")
        kind = kinds.get(name)
        if not argument.startswith("--") or (not equals and kind not in (Kind.BOOL, None)):
            unknown.append(argument)
        elif kind is not None:
            values[name] = _value(name, kind, text if equals else None)
        else:
            _check_unknown(name, kinds)
            unknown.append(argument)
    special = [name for name in values.keys() - own.keys() if values[name] not in NO_OP_VALUES]
    return CommandLine(
        Flags(**{name: value for name, value in values.items() if name in own}),
        unknown + arguments[end:],
        without_effect=[name for name in WITHOUT_EFFECT if name in special],
        refused=[name for name in REFUSED if name in special],
    )


def usage() -> str:
    """Return the help text: every flag with its default."""
    lines = ["usage: python -m portable_model_server --flag=value ..."]
    for item in fields(Flags):
        default = str(item.default).lower() if isinstance(item.default, bool) else repr(item.default)
        value = "(unset)" if item.default is None else f"={default}"
        lines.append(f"  --{item.name}{value}\n      {item.metadata['help']}")
    lines.append("also taken, without effect here: " + ", ".join(f"--{name}" for name in WITHOUT_EFFECT))
    return "\n".join(lines) + "\n"


def _check_unknown(name: str, kinds: Mapping[str, Kind]) -> None:
    """Refuse what tensorflow_model_server takes for a bool with a strange value: it looks only at the beginning."""
    for known, kind in kinds.items():
        if kind is Kind.BOOL and name.startswith(known):
            raise MalformedFlag(f"--{name} is no flag, and tensorflow_model_server takes it for --{known}: correct it")


def _value(name: str, kind: Kind, text: str | None) -> Any:
    """Read a value as TensorFlow's command_line_flags.cc does; None is the text of a bool that is only named."""
    value: bool | int | float | str | None = text
    if kind is Kind.BOOL:
        value = {None: True, "true": True, "false": False}.get(text)
    elif kind is Kind.FLOAT:
        value = _float(text or "")
    elif kind is not Kind.STRING:
        value = _integer(text or "", bits=32 if kind is Kind.INT32 else 64)
    if value is None:
        raise MalformedFlag(f"couldn't interpret value {text} for flag {name}: it takes {kind}")
    return value


def _float(text: str) -> float | None:
    """Parse a decimal number, or return None."""
    return float(text) if re.fullmatch(r" *[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text) else None


def _integer(text: str, bits: int) -> int | None:
    """Parse a signed integer, or return None; stricter than ``int``, which allows underscores and spaces after it."""
    number = int(text) if re.fullmatch(r" *[+-]?[0-9]{1,19}", text) else None
    return number if number is None or -(2 ** (bits - 1)) <= number < 2 ** (bits - 1) else None
