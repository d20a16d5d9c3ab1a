"""The life of a server: start, hot swaps, configuration changes, warmup, stop."""

import shutil
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from brain_tumor.processes import free_port, listens
from tests.model_server import models
from tests.model_server.server_process import ServerProcess, predict_request
from tests.processes import wait_until

X = np.array([2.0], np.float32)
AVAILABLE, END = 30, 50
HalfPlus = Callable[[Path, float], Path]


def y(server: ServerProcess, model: str = "m", **options: Any) -> float:
    return server.predict(model, x=X, **options).outputs["y"].float_val[0]


def one_model(base: Path, *more: str) -> tuple[str, ...]:
    return ("--model_name=m", f"--model_base_path={base}", *more)


def test_hot_reload_while_calls_run(tmp_path: Path, half_plus: HalfPlus) -> None:
    half_plus(tmp_path / "m" / "1", 1.0)
    predictions: list[float] = []
    done = threading.Event()
    with ServerProcess(tmp_path / "log", *one_model(tmp_path / "m")) as server:
        server.ready()
        assert y(server) == 2.0

        def call_on() -> None:
            while not done.is_set():
                predictions.append(y(server))

        with ThreadPoolExecutor(3) as pool:
            callers = [pool.submit(call_on) for _ in range(3)]
            try:
                wait_until(lambda: 2.0 in predictions, "predictions of version 1")
                half_plus(tmp_path / "m" / "2", 2.0)
                wait_until(lambda: server.status("m") == {1: END, 2: AVAILABLE}, "version 2 alone")
                seen = len(predictions)
                wait_until(lambda: len(predictions) > seen + 50, "more predictions")
            finally:
                done.set()
            for caller in callers:
                caller.result()  # no call failed
        assert set(predictions) == {2.0, 3.0}
        assert set(predictions[seen + 3 :]) == {3.0}


def test_an_emptied_base_path(tmp_path: Path, half_plus: HalfPlus) -> None:
    half_plus(tmp_path / "m" / "1", 1.0)
    with ServerProcess(tmp_path / "log", *one_model(tmp_path / "m")) as server:
        server.ready()
        shutil.rmtree(tmp_path / "m" / "1")
        wait_until(lambda: server.status("m") == {1: END}, "unloaded")
        with pytest.raises(grpc.RpcError, match=r"Servable not found for request: Latest\(m\)"):
            y(server)
        half_plus(tmp_path / "m" / "1", 3.0)
        wait_until(lambda: server.status("m") == {1: AVAILABLE}, "loaded again")
        assert y(server) == 4.0


CONFIG = """
model_config_list {{
  config {{ name: "one" base_path: "{folder}/one" model_platform: "tensorflow" {one} }}
  config {{ name: "two" base_path: "{folder}/two" model_platform: "tensorflow" {two} }}
}}
"""


def test_a_configuration_file(tmp_path: Path, half_plus: HalfPlus) -> None:
    """Two models, a policy, labels that move, a file that turns wrong, a model that goes."""
    for version in (1, 2, 3):
        half_plus(tmp_path / "one" / str(version), version)
    half_plus(tmp_path / "two" / "1", 10.0)
    file = tmp_path / "models.config"

    def configure(one: str, two: str = "") -> None:
        (tmp_path / "new").write_text(CONFIG.format(folder=tmp_path, one=one, two=two))
        (tmp_path / "new").replace(file)

    some = "model_version_policy { specific { versions: 1 versions: 3 } }"
    configure(some)
    flags = (f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1")
    with ServerProcess(tmp_path / "log", *flags) as server:
        server.ready()
        wait_until(lambda: server.status("one") == {1: AVAILABLE, 3: AVAILABLE}, "both versions")
        assert (y(server, "one"), y(server, "one", version=1), y(server, "two")) == (4.0, 2.0, 11.0)

        configure(some + 'version_labels { key: "stable" value: 1 }')

        def by_label(label: str) -> float | None:
            try:
                return y(server, "one", label=label)
            except grpc.RpcError as error:
                assert error.details() == f"Unrecognized servable version label: {label}"
                return None

        wait_until(lambda: by_label("stable") == 2.0, "the label")
        response = server.predict("one", label="stable", x=X)
        assert response.model_spec.version.value == 1
        assert server.http("POST", "/v1/models/one/labels/stable:predict", {"instances": [2]}).json == {
            "predictions": [2.0]
        }
        configure(some + 'version_labels { key: "stable" value: 3 }')
        wait_until(lambda: by_label("stable") == 4.0, "the label's move")

        configure(some + 'version_labels { key: "stable" value: 2 }')
        wait_until(lambda: "version 2 of model one, which is not currently available" in server.log, "a warning")
        assert by_label("stable") == 4.0
        file.write_text("nonsense")
        wait_until(
            lambda: "Error parsing text-format tensorflow.serving.ModelServerConfig" in server.log, "the warning"
        )
        assert (y(server, "one"), y(server, "two")) == (4.0, 11.0)

        file.write_text(
            f'model_config_list {{ config {{ name: "one" base_path: "{tmp_path}/one" model_platform: "tensorflow" }} }}'
        )
        wait_until(lambda: server.status("two") == {1: END}, "model two gone")
        wait_until(lambda: server.status("one") == {3: AVAILABLE, 1: END}, "the latest version alone")
        assert by_label("stable") is None


def test_labels_in_the_first_configuration(tmp_path: Path, half_plus: HalfPlus) -> None:
    half_plus(tmp_path / "one" / "1", 1.0)
    half_plus(tmp_path / "two" / "1", 1.0)
    label = 'version_labels { key: "stable" value: 1 }'
    (tmp_path / "config").write_text(CONFIG.format(folder=tmp_path, one=label, two=""))
    flag = f"--model_config_file={tmp_path / 'config'}"
    with ServerProcess(tmp_path / "log", flag) as server:
        assert server.exit_code() == 255
        assert "FAILED_PRECONDITION: Request to assign label to version 1 of model one" in server.log
    with ServerProcess(tmp_path / "log", flag, "--allow_version_labels_for_unavailable_models=true") as server:
        server.ready()
        assert y(server, "one", label="stable") == 2.0


def test_ports_stay_closed_until_there_is_a_model(tmp_path: Path, half_plus: HalfPlus) -> None:
    with ServerProcess(tmp_path / "log", *one_model(tmp_path / "m")) as server:
        wait_until(lambda: "Could not find base path" in server.log, "the first poll")
        (tmp_path / "m").mkdir()
        wait_until(lambda: "No versions to serve" in server.log, "the second poll")
        half_plus(tmp_path / "m" / "v1", 1.0)
        wait_until(lambda: "v1 is no number; name that folder by its version" in server.log, "the third poll")
        assert not listens(server.grpc_port)
        assert not listens(server.rest_port)
        assert server.process.poll() is None
        (tmp_path / "m" / "v1").rename(tmp_path / "m" / "1")
        server.ready()
        assert y(server) == 2.0
        # Logged once, not at every poll.
        assert server.log.count("Could not find base path") == 1


def test_ports_stay_closed_while_a_model_loads(tmp_path: Path, slow_base: Path) -> None:
    shutil.copytree(slow_base, tmp_path / "m")
    models.write_warmup(tmp_path / "m" / "1", *[models.predict_record("x", np.ones(10_000, np.float32))] * 10)
    with ServerProcess(tmp_path / "log", *one_model(tmp_path / "m")) as server:
        wait_until(lambda: "loading version 1" in server.log, "loading")
        assert not listens(server.grpc_port)
        assert not listens(server.rest_port)
        assert "is available" not in server.log
        server.process.send_signal(signal.SIGTERM)
        assert server.exit_code() == 0


def test_a_broken_model_ends_the_process(tmp_path: Path) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "saved_model.pb").write_bytes(b"damaged")
    flags = one_model(tmp_path / "m", "--max_num_load_retries=2", "--load_retry_interval_micros=1000")
    with ServerProcess(tmp_path / "log", *flags) as server:
        assert server.exit_code() == 255
        assert server.log.count("failed to load") == 3
        assert "Failed to start server. Error: UNKNOWN: Some models did not become available: m version 1" in server.log


def test_a_broken_new_version_leaves_the_old_one(tmp_path: Path, half_plus: HalfPlus) -> None:
    half_plus(tmp_path / "m" / "1", 1.0)
    with ServerProcess(tmp_path / "log", *one_model(tmp_path / "m", "--max_num_load_retries=0")) as server:
        server.ready()
        (tmp_path / "m" / "2").mkdir()
        wait_until(lambda: server.status("m") == {1: AVAILABLE, 2: END}, "version 2's end")
        assert y(server) == 2.0
        status = server.http("GET", "/v1/models/m/versions/2").json["model_version_status"][0]["status"]
        assert status["error_code"] == "NOT_FOUND"
        assert "saved_model.pb" in status["error_message"]


def test_a_model_that_is_copied_slowly(tmp_path: Path, half_plus: HalfPlus) -> None:
    """Each version is served once it is whole, though the next try would be in an hour, or there would be none."""
    source = half_plus(tmp_path / "source" / "1", 1.0)

    def half(version: str) -> Path:
        folder = tmp_path / "m" / version
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes((source / "saved_model.pb").read_bytes()[:-20])
        return folder

    def complete(folder: Path) -> None:
        shutil.copy(source / "saved_model.pb", folder)

    folder = half("1")
    flags = one_model(tmp_path / "m", "--load_retry_interval_micros=3600000000")
    with ServerProcess(tmp_path / "log", *flags) as server:
        wait_until(lambda: "(5 more tries): NOT_FOUND" in server.log, "a try that fails")
        assert "saved_model.pb is damaged or not yet whole" in server.log
        complete(folder)
        server.ready()
        assert y(server) == 2.0
    with ServerProcess(tmp_path / "log", *one_model(tmp_path / "m", "--max_num_load_retries=0")) as server:
        server.ready()
        folder = half("2")
        wait_until(lambda: server.status("m") == {1: AVAILABLE, 2: END}, "version 2's end")
        complete(folder)
        wait_until(lambda: server.status("m") == {1: END, 2: AVAILABLE}, "version 2")


def test_warmup(tmp_path: Path, half_plus: HalfPlus) -> None:
    version = half_plus(tmp_path / "m" / "1", 1.0)
    record = models.predict_record("x", X)
    models.write_warmup(version, *[record] * 3)
    with ServerProcess(tmp_path / "log", *one_model(tmp_path / "m")) as server:
        server.ready()
        assert "3 warmup records" in server.log


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([models.predict_record("z", X)], "warmup record 1 failed: Signature input alias: x"),
        ([b"\xff\xff"], "Failed to parse warmup record 1"),
        ([models.predict_record("x", X)] * 1001, "Number of warmup records exceeds the maximum (1000)"),
        (None, "Please verify your warmup data is in TFRecord format"),
    ],
)
def test_warmup_that_fails(tmp_path: Path, half_plus: HalfPlus, records: list[bytes] | None, message: str) -> None:
    version = half_plus(tmp_path / "m" / "1", 1.0)
    models.write_warmup(version, *(records or []))
    if records is None:
        (version / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"something else altogether")
    flags = one_model(tmp_path / "m", "--max_num_load_retries=0")
    with ServerProcess(tmp_path / "log", *flags) as server:
        assert server.exit_code() == 255
        assert message in server.log
    with ServerProcess(tmp_path / "log", *flags, "--enable_model_warmup=false") as server:
        server.ready()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_calls_under_way_end_before_the_server_does(tmp_path: Path, slow_base: Path, number: signal.Signals) -> None:
    flags = one_model(
        slow_base, "--enable_grpc_healthcheck_service", "--grpc_max_threads=1", "--rest_api_num_threads=1"
    )
    rows = 1_500
    with ServerProcess(tmp_path / "log", *flags) as server:
        server.ready()
        slow = predict_request("m", x=np.ones(rows, np.float32))
        watch = health_pb2_grpc.HealthStub(server.channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        with ThreadPoolExecutor(2) as pool:
            over_grpc = pool.submit(server.insist, slow)
            over_rest = pool.submit(server.post, "m", {"inputs": [1.0] * rows})
            wait_until(lambda: server.full("m"), "a gRPC call under way")
            wait_until(lambda: server.rest_is_busy("m", {"inputs": [1.0]}), "a REST call under way")
            server.process.send_signal(number)
            wait_until(lambda: not listens(server.grpc_port) and not listens(server.rest_port), "closed ports")
            assert list(over_grpc.result().outputs["y"].float_val) == [1.0] * rows
            response = over_rest.result()
            assert (response.status, response.json) == (200, {"outputs": [1.0] * rows})
        assert [update.status for update in watch] == [health_pb2.HealthCheckResponse.NOT_SERVING]
        assert server.exit_code() == 0
        assert "Traceback" not in server.log


def test_connections_without_a_request_do_not_hold_up_the_stop(tmp_path: Path, half_plus: HalfPlus) -> None:
    half_plus(tmp_path / "m" / "1", 1.0)
    with ServerProcess(tmp_path / "log", *one_model(tmp_path / "m")) as server:
        address = ("127.0.0.1", server.ready().rest_port)
        with (
            socket.create_connection(address, 10) as silent,
            socket.create_connection(address, 10) as kept_alive,
            socket.create_connection(address, 10) as chunked,
        ):
            kept_alive.sendall(b"GET /v1/models/m HTTP/1.1\r\nHost: m\r\n\r\n")
            assert kept_alive.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
            chunked.sendall(
                b"POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n"
                b'11\r\n{"instances":[1]}\r\n0\r\n\r\n'
            )
            assert chunked.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
            server.process.send_signal(signal.SIGTERM)
            assert server.exit_code(within_s=10) == 0
            assert silent.recv(1) == b""
        assert "not ended in time: none" in server.log
        assert "Traceback" not in server.log


def test_calls_that_do_not_end_in_time_are_cut_off(tmp_path: Path, slow_base: Path) -> None:
    flags = one_model(slow_base, "--shutdown_grace_seconds=1", "--grpc_max_threads=1")
    endless = predict_request("m", x=np.ones(40_000, np.float32))
    with ServerProcess(tmp_path / "log", *flags) as server, ThreadPoolExecutor(1) as pool:
        server.ready()
        call = pool.submit(server.insist, endless)
        wait_until(lambda: server.full("m"), "a call under way")
        server.process.send_signal(signal.SIGTERM)
        assert server.exit_code() == 0
        with pytest.raises(grpc.RpcError):
            call.result()


def test_a_port_that_is_taken(tmp_path: Path, half_plus: HalfPlus) -> None:
    half_plus(tmp_path / "m" / "1", 1.0)
    for flag, other_flag in (("port", "rest_api_port"), ("rest_api_port", "port")):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            flags = one_model(tmp_path / "m", f"--{flag}={port}", f"--{other_flag}={free_port()}", "--host=127.0.0.1")
            with ServerProcess(tmp_path / "log", *flags, ports=False) as server:
                assert server.exit_code() == 1
                assert f"listening on 127.0.0.1:{port} is in use by another process" in server.log
                assert "Traceback" not in server.log


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--port=abc", "--model_base_path=/m"], "usage: "),
        (["--enable_profiler=1", "--model_base_path=/m"], "couldn't interpret value 1 for flag enable_profiler"),
        (["--model_base_path=/m", "--ssl_config_file=/x"], "--ssl_config_file is not implemented"),
        (["--model_base_path=/m", "--grpc_channel_arguments=x"], "is not KEY=VALUE"),
        ([], "Both --model_base_path and --model_config_file are empty!"),
        (["--model_base_path=relative"], "Expected model default to have an absolute path"),
        (["--model_base_path=s3://bucket/m"], "copy or mount the folder that holds its version folders"),
        (["--model_config_file=/nowhere/at/all"], "Cannot read /nowhere/at/all: No such file"),
        (["--model_base_path=/m", "--port=0"], "At least one of --port or --grpc_socket_path"),
        (["--model_base_path=/m", "--batching_parameters_file=/x"], "without setting --enable_batching"),
    ],
)
def test_what_cannot_start(tmp_path: Path, flags: list[str], message: str) -> None:
    with ServerProcess(tmp_path / "log", *flags, ports=False) as server:
        assert server.exit_code() == 255
        assert message in server.log
        assert "Traceback" not in server.log


def test_a_bad_configuration_file(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("improperly formatted {")
    with ServerProcess(tmp_path / "log", f"--model_config_file={tmp_path / 'config'}") as server:
        assert server.exit_code() == 255
        assert "Error parsing text-format tensorflow.serving.ModelServerConfig" in server.log


def test_version(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "log", "--version", ports=False) as server:
        assert server.exit_code() == 0
        assert "TensorFlow ModelServer: 2.20.0" in server.log


def test_batching_parameters(tmp_path: Path, half_plus: HalfPlus) -> None:
    half_plus(tmp_path / "m" / "1", 1.0)
    (tmp_path / "batching").write_text("max_batch_size { value: 4 }")
    flags = one_model(tmp_path / "m", "--enable_batching", f"--batching_parameters_file={tmp_path / 'batching'}")
    with ServerProcess(tmp_path / "log", *flags) as server:
        assert len(server.ready().predict("m", x=np.ones(4, np.float32)).outputs["y"].float_val) == 4
        with pytest.raises(grpc.RpcError) as caught:
            server.predict("m", x=np.ones(5, np.float32))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details() == "Task size 5 is larger than maximum input batch size 4"
    (tmp_path / "batching").write_text("max_batch_size: 4")
    with ServerProcess(tmp_path / "log", *flags) as server:
        assert server.exit_code() == 255
        assert "Error parsing text-format tensorflow.serving.BatchingParameters" in server.log
