"""How the gateway responds when the model server is down, frozen, or serves the wrong model."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import tensorflow as tf

from tests import processes
from tests.integration.requests_ import assert_problem, predict
from tests.model_server.savedmodels import save, signature
from tests.processes import SHIPPED_MODEL


def test_a_model_server_that_is_down_and_comes_back(tmp_path: Path) -> None:
    port = processes.free_port()
    with processes.gateway(tmp_path / "gateway", port) as gateway:
        assert requests.get(f"{gateway.url}/readyz", timeout=10).status_code == 503
        response = predict(gateway.url)
        assert_problem(response, 503)
        assert int(response.headers["Retry-After"]) > 0
        with processes.model_server(tmp_path / "model-server", port=port):
            processes.wait_until(
                lambda: predict(gateway.url).status_code == 200, "a prediction once the model server is up"
            )
            assert requests.get(f"{gateway.url}/readyz", timeout=10).status_code == 200
        assert_problem(predict(gateway.url), 503)
        # Without its model a gateway stays in its Service and responds 503 itself.
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
        processes.wait_until(
            lambda: predict(gateway.url).status_code == 200, "a prediction once the model server goes on"
        )


def test_an_unknown_model(tmp_path: Path) -> None:
    with (
        processes.model_server(tmp_path / "model-server", name="another") as model_server,
        processes.gateway(tmp_path / "gateway", model_server.port) as gateway,
    ):
        assert_problem(predict(gateway.url), 502)


def test_a_model_that_does_not_describe_itself(tmp_path: Path) -> None:
    def build() -> dict[str, Any]:
        x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
        return {"serving_default": signature({"x": x}, {"y": tf.add(x, 1.0)})}

    save(tmp_path / "models" / "1", build)
    with (
        processes.model_server(tmp_path / "model-server", base_path=tmp_path / "models") as model_server,
        processes.gateway(tmp_path / "gateway", model_server.port) as gateway,
    ):
        assert_problem(predict(gateway.url), 502)
        assert 'Serving signature key "describe" not found.' in (tmp_path / "gateway").read_text()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8501/v1/models/brain-tumor",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://2130706433/",
        "file:///etc/passwd",
    ],
)
def test_a_url_that_leads_inwards(gateway_without_model: str, url: str) -> None:
    assert_problem(requests.post(f"{gateway_without_model}/predict", json={"url": url}, timeout=30), 422)


@pytest.fixture(scope="module")
def gateway_without_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with processes.gateway(tmp_path_factory.mktemp("logs") / "gateway", processes.free_port()) as gateway:
        yield gateway.url


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_both_engines_serve_the_shipped_model(tmp_path: Path, engine: str) -> None:
    with (
        processes.model_server(tmp_path / "model-server", f"--engine={engine}") as model_server,
        processes.gateway(tmp_path / "gateway", model_server.port) as gateway,
    ):
        response = predict(gateway.url)
        assert response.status_code == 200, response.text
        assert response.json()["class"] == "glioma"


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
