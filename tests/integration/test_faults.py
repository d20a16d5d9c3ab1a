"""What a client is told when the model server is down, frozen, or serves the wrong thing."""

import signal
from pathlib import Path

import pytest
import requests

from tests import processes
from tests.processes import EXAMPLES, SHIPPED_MODEL

PICTURE = (EXAMPLES / "glioma.jpg").read_bytes()


def predict(url: str) -> requests.Response:
    return requests.post(f"{url}/predict", data=PICTURE, headers={"Content-Type": "image/jpeg"}, timeout=30)


def assert_problem(answer: requests.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert "127.0.0.1" not in answer.text and "grpc" not in answer.text.lower()


def test_a_model_server_that_is_down_and_comes_back(tmp_path: Path) -> None:
    port = processes.free_port()
    with processes.gateway(tmp_path / "gateway", port) as gateway:
        assert requests.get(f"{gateway.url}/readyz", timeout=10).status_code == 503
        answer = predict(gateway.url)
        assert_problem(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0
        with processes.model_server(tmp_path / "model-server", port=port):
            processes.wait_until(
                lambda: predict(gateway.url).status_code == 200, "an answer once the model server is up"
            )
            assert requests.get(f"{gateway.url}/readyz", timeout=10).status_code == 200
        assert_problem(predict(gateway.url), 503)
        # Without its model a gateway stays in its Service, to say so itself.
        assert requests.get(f"{gateway.url}/readyz", timeout=10).status_code == 200
        assert requests.get(f"{gateway.url}/livez", timeout=10).status_code == 200


def test_a_frozen_model_server(tmp_path: Path) -> None:
    with (
        processes.model_server(tmp_path / "model-server") as model_server,
        processes.gateway(tmp_path / "gateway", model_server.port, GATEWAY_DEADLINE_SECONDS="2") as gateway,
    ):
        assert predict(gateway.url).status_code == 200
        model_server.process.send_signal(signal.SIGSTOP)
        try:
            assert_problem(predict(gateway.url), 504)
            assert requests.get(f"{gateway.url}/livez", timeout=10).status_code == 200
        finally:
            model_server.process.send_signal(signal.SIGCONT)
        processes.wait_until(lambda: predict(gateway.url).status_code == 200, "an answer once the model server goes on")


def test_an_unknown_model(tmp_path: Path) -> None:
    with (
        processes.model_server(tmp_path / "model-server", name="another") as model_server,
        processes.gateway(tmp_path / "gateway", model_server.port) as gateway,
    ):
        assert_problem(predict(gateway.url), 502)


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_both_engines_serve_the_shipped_model(tmp_path: Path, engine: str) -> None:
    with (
        processes.model_server(tmp_path / "model-server", f"--engine={engine}") as model_server,
        processes.gateway(tmp_path / "gateway", model_server.port) as gateway,
    ):
        answer = predict(gateway.url)
        assert answer.status_code == 200, answer.text
        assert answer.json()["class"] == "glioma"


def test_the_gateway_ends_cleanly(tmp_path: Path) -> None:
    with (
        processes.model_server(tmp_path / "model-server", base_path=SHIPPED_MODEL) as model_server,
        processes.gateway(tmp_path / "gateway", model_server.port) as gateway,
    ):
        assert predict(gateway.url).status_code == 200
        gateway.process.terminate()
        assert gateway.process.wait(30) == 0
        model_server.process.terminate()
        assert model_server.process.wait(30) == 0
