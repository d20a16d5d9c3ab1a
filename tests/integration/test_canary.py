"""A canary beside the stable model: two model servers, and two versions of one, as processes."""

import re
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests import processes
from tests.integration.requests_ import example, predict
from tests.processes import SHIPPED_MODEL, wait_until

STABLE, CANARY = ("stable", 1), ("canary", 2)
CLIENTS = 3
IN_EACH_STATE = 15  # predictions of each client


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the shipped model as versions 1 and 2."""
    folder = tmp_path_factory.mktemp("models") / "brain-tumor"
    for version in ("1", "2"):
        shutil.copytree(SHIPPED_MODEL / "1", folder / version)
    return folder


@pytest.fixture(scope="module")
def next_model(versions: Path) -> Path:
    """The folder that has version 2 alone."""
    folder = versions.parent / "next" / "brain-tumor"
    shutil.copytree(versions / "2", folder / "2")
    return folder


def answered_by(response: requests.Response) -> tuple[str, int]:
    assert response.status_code == 200, response.text
    model = response.json()["model"]
    return model["label"], model["version"]


def metrics(gateway: processes.Server, name: str) -> dict[str, float]:
    """The series of a metric that are not 0, by their labels' values."""
    text = requests.get(f"{gateway.url}/metrics", timeout=10).text
    series = re.findall(rf'^{name}(?:{{\w+="(\w+)"}})? (\S+)$', text, re.MULTILINE)
    return {label: float(value) for label, value in series if float(value)}


def test_two_versions_of_one_model_server_by_their_labels(tmp_path: Path, versions: Path) -> None:
    config = tmp_path / "models.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "brain-tumor" base_path: "{versions}" model_platform: "tensorflow" '
        "model_version_policy { all {} } "
        'version_labels { key: "proven" value: 1 } version_labels { key: "next" value: 2 } } }'
    )
    shares = tmp_path / "canary.toml"
    shares.write_text("share = 100")
    flags = (f"--model_config_file={config}", "--allow_version_labels_for_unavailable_models=true")
    settings = {
        "MODEL_VERSION_LABEL": "proven",
        "CANARY_VERSION_LABEL": "next",
        "GATEWAY_CANARY_FILE": str(shares),
    }
    with (
        processes.model_server(tmp_path / "model-server", *flags, base_path=versions) as model_server,
        processes.gateway(tmp_path / "gateway", model_server.port, **settings) as gateway,
    ):
        wait_until(lambda: answered(gateway) == CANARY, "the canary answers", tmp_path / "gateway")
        headers = {"Content-Type": "image/jpeg", "X-Model-Version": "stable"}
        url = f"{gateway.url}/predict"
        assert answered_by(requests.post(url, example("glioma"), headers=headers, timeout=30)) == STABLE
        shares.write_text("share = 0")
        wait_until(lambda: answered(gateway) == STABLE, "the share of 0 is read", tmp_path / "gateway")


def answered(gateway: processes.Server) -> tuple[str, int] | None:
    response = predict(gateway.url)
    return answered_by(response) if response.status_code == 200 else None


@contextmanager
def load(gateway: processes.Server) -> Iterator[Counter[tuple[str, int]]]:
    """Clients that send one image after the other; yields who answered so far. Each response must be a prediction."""
    answers: Counter[tuple[str, int]] = Counter()
    failures: list[str] = []
    stop = threading.Event()

    def send() -> None:
        with requests.Session() as session:
            while not stop.is_set():
                response = predict(gateway.url, session)
                if response.status_code == 200:
                    answers[answered_by(response)] += 1
                else:
                    failures.append(response.text)

    clients = [threading.Thread(target=send) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield answers
    finally:
        stop.set()
        for client in clients:
            client.join(60)
    assert failures == []


def test_whatever_the_canary_does_no_request_is_lost(tmp_path: Path, next_model: Path) -> None:
    shares, log = tmp_path / "canary.toml", tmp_path / "gateway"
    canary_port = processes.free_port()

    def next_server():
        return processes.model_server(tmp_path / "canary", base_path=next_model, port=canary_port)

    settings = {"CANARY_SERVER_ADDRESS": f"127.0.0.1:{canary_port}", "GATEWAY_CANARY_FILE": str(shares)}
    with (
        processes.model_server(tmp_path / "model-server") as model_server,
        processes.gateway(log, model_server.port, **settings) as gateway,
    ):
        wait_until(lambda: answered(gateway) == STABLE, "a first prediction", log)
        with load(gateway) as answers:

            def until(label: tuple[str, int], what: str) -> None:
                before = answers[label]
                wait_until(lambda: answers[label] > before + CLIENTS * IN_EACH_STATE, what, log)

            shares.write_text("share = 50")
            until(STABLE, "stable answers for a canary that is not there")
            with next_server() as canary:
                until(CANARY, "the canary answers once it is there")
                canary.process.send_signal(signal.SIGSTOP)
                slow = outcome(gateway, "slow")
                wait_until(lambda: outcome(gateway, "slow") > slow, "the canary that hangs is given up", log)
                until(STABLE, "stable answers for a canary that hangs")
                canary.process.send_signal(signal.SIGCONT)
                until(CANARY, "the canary answers again")
                canary.process.kill()
                until(STABLE, "stable answers for a canary that is gone")
            with next_server():
                until(CANARY, "the canary answers after its return")
        assert set(answers) == {STABLE, CANARY}
        gateway.process.terminate()
        assert gateway.process.wait(30) == 0


def outcome(gateway: processes.Server, name: str) -> float:
    return metrics(gateway, "gateway_canary_requests_total").get(name, 0.0)


def test_a_shadow_of_the_same_model_agrees(tmp_path: Path, next_model: Path) -> None:
    shares, log = tmp_path / "canary.toml", tmp_path / "gateway"
    with (
        processes.model_server(tmp_path / "model-server") as model_server,
        processes.model_server(tmp_path / "canary", base_path=next_model) as canary,
        processes.gateway(
            log,
            model_server.port,
            CANARY_SERVER_ADDRESS=f"127.0.0.1:{canary.port}",
            GATEWAY_CANARY_FILE=str(shares),
        ) as gateway,
    ):
        assert answered(gateway) == STABLE
        assert metrics(gateway, "gateway_shadow_requests_total") == {}
        shares.write_text("shadow = 100")

        def compared() -> float:
            assert answered(gateway) == STABLE
            return metrics(gateway, "gateway_shadow_requests_total").get("compared", 0)

        wait_until(lambda: compared() >= 5, "requests are compared", log)
        shares.write_text("shadow = 0")
        images = metrics(gateway, "gateway_shadow_images_total")
        assert images == metrics(gateway, "gateway_shadow_agreements_total")
        assert metrics(gateway, "gateway_shadow_distance_sum").get("", 0) < 1e-4
        assert set(metrics(gateway, "gateway_model_seconds_count")) == {"stable", "canary"}
        gateway.process.terminate()
        assert gateway.process.wait(30) == 0
