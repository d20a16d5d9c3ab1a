"""The command line as tensorflow_model_server reads it."""

import subprocess
import sys

import pytest

from portable_model_server.flags import REFUSED, WITHOUT_EFFECT, Flags, Kind, MalformedFlag, parse, usage
from tests.processes import CLEAN_ENVIRONMENT, ROOT


def test_defaults_are_tensorflow_servings() -> None:
    flags = parse([]).flags
    assert (flags.port, flags.rest_api_port, flags.rest_api_timeout_in_ms) == (8500, 0, 30000)
    assert (flags.model_name, flags.model_base_path, flags.model_config_file) == ("default", "", "")
    assert (flags.file_system_poll_wait_seconds, flags.model_config_file_poll_wait_seconds) == (1, 0)
    assert (flags.max_num_load_retries, flags.load_retry_interval_micros) == (5, 60_000_000)
    assert flags.enable_model_warmup
    assert not flags.enable_grpc_healthcheck_service
    assert not flags.enable_serialization_as_tensor_content


def test_values() -> None:
    line = parse(["--port=1", "--model_name=a=b", "--enable_model_warmup=false", "--version", "--port=2"])
    assert (line.flags.port, line.flags.model_name) == (2, "a=b")
    assert (line.flags.enable_model_warmup, line.flags.version) == (False, True)
    assert parse(["--enable_grpc_healthcheck_service=true"]).flags.enable_grpc_healthcheck_service


@pytest.mark.parametrize("arguments", [["--port", "8500"], ["-port=1"], ["--Port=1"], ["--nothing=1"], ["word"]])
def test_what_is_no_flag_is_unknown(arguments: list[str]) -> None:
    line = parse(arguments)
    assert line.unknown == arguments
    assert line.flags == Flags()


@pytest.mark.parametrize(
    "argument",
    [
        "--port=abc",
        "--port=",
        "--port=1.5",
        "--port=1_000",
        "--port=70000",
        "--port=99999999999999999999",
        "--enable_model_warmup=True",
        "--enable_model_warmups=true",
        "--versions",
        "--engine=onnx",
        "--max_message_bytes=0",
        "--grpc_max_threads=-1",
    ],
)
def test_malformed_values(argument: str) -> None:
    with pytest.raises(MalformedFlag):
        parse([argument])


@pytest.mark.parametrize(
    ("argument", "value"), [("--enable_batching", True), ("--enable_batching=false", False), ("--port=1", None)]
)
def test_batching_may_be_left_to_the_server(argument: str, value: bool | None) -> None:
    assert parse([argument]).flags.enable_batching is value


# Of tensorflow_model_server 2.20's main.cc and server.h: for each kind, values that it takes and values that end it.
VALUES = {
    Kind.BOOL: (["", "=true", "=false"], ["=", "=1", "=yes", "=True", "=true ", "s", "s=true"]),
    Kind.INT32: (["=1", "=-1", "=+1", "= 1", "=2147483647"], ["=", "=1.5", "=1 ", "=1_0", "=0x1", "=a", "=2147483648"]),
    Kind.INT64: (["=1", "=-2147483649", "=9223372036854775807"], ["=", "=1e3", "=9223372036854775808"]),
    Kind.FLOAT: (["=1", "=0.5", "=-.5", "=5.", "=1e-3", "= 1"], ["=", "=0.5f", "=half", "=.", "=1e", "=0.5 "]),
    Kind.STRING: (["=", "=anything at all"], []),
}
OTHER_KINDS = {name: kind for name, (kind, _) in (WITHOUT_EFFECT | REFUSED).items()}


def test_there_is_a_flag_of_each_kind() -> None:
    assert set(OTHER_KINDS.values()) == {Kind.BOOL, Kind.INT32, Kind.FLOAT, Kind.STRING}


@pytest.mark.parametrize(("name", "kind"), {**OTHER_KINDS, "tensorflow_session_parallelism": Kind.INT64}.items())
def test_a_flag_takes_what_the_real_server_takes(name: str, kind: Kind) -> None:
    """Whether or not it has an effect: a manifest that starts here starts there."""
    taken, malformed = VALUES[kind]
    for value in taken:
        assert not parse([f"--{name}{value}"]).unknown
    for value in malformed:
        with pytest.raises(MalformedFlag, match=f"--{name}|flag {name}: it takes {kind}"):
            parse([f"--{name}{value}"])


def test_flags_without_effect_are_reported_where_they_ask_for_something() -> None:
    asking = {Kind.BOOL: "true", Kind.INT32: "1", Kind.FLOAT: "0.5", Kind.STRING: "a"}
    line = parse([f"--{name}={asking[kind]}" for name, (kind, _) in WITHOUT_EFFECT.items()])
    assert line.without_effect == list(WITHOUT_EFFECT)
    assert not line.unknown
    assert not parse(["--enable_profiler=false", "--num_load_threads=0", "--mixed_precision="]).without_effect


def test_flags_that_must_not_be_ignored() -> None:
    line = parse(["--saved_model_tags=gpu", "--ssl_config_file=a", "--prefer_tflite_model"])
    assert line.refused == ["ssl_config_file", "saved_model_tags", "prefer_tflite_model"]
    assert not parse(["--ssl_config_file=", "--saved_model_tags=serve", "--prefer_tflite_model=false"]).refused


def test_what_follows_two_dashes_is_unknown() -> None:
    line = parse(["--port=1", "--", "--port=2", "--rest_api_port=x"])
    assert line.flags.port == 1
    assert line.unknown == ["--", "--port=2", "--rest_api_port=x"]


def test_channel_arguments() -> None:
    flags = Flags(grpc_channel_arguments="grpc.max_connection_age_ms=10000,grpc.lb_policy_name=grpclb,a=99999999999")
    assert flags.grpc_options == [
        ("grpc.max_connection_age_ms", 10000),
        ("grpc.lb_policy_name", "grpclb"),
        ("a", "99999999999"),
    ]
    with pytest.raises(MalformedFlag):
        _ = Flags(grpc_channel_arguments="grpc.max_connection_age_ms").grpc_options


def test_usage_names_every_flag() -> None:
    assert "--file_system_poll_wait_seconds=1\n" in usage()
    assert "--enable_model_warmup=true\n" in usage()


def test_help_lists_the_flags_and_ends_well() -> None:
    command = [sys.executable, "-m", "portable_model_server", "--help"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=CLEAN_ENVIRONMENT, timeout=60)
    assert ended.returncode == 0
    assert "--model_base_path=" in ended.stdout
    assert ended.stderr == ""
