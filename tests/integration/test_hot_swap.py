"""A model of other classes and another size, dropped in as version 2 while requests run."""

import shutil
import threading
from pathlib import Path
from typing import ClassVar

import requests

from tests import processes
from tests.converter.small_models import build_keras, publish
from tests.integration.requests_ import predict
from tests.processes import SHIPPED_MODEL

CLIENTS = 4
AFTER_SWAP = 25  # predictions of version 2 that each client waits for
MAX_REQUESTS = 3000  # of each client: bounds the test if the swap never comes


def test_a_new_version_is_served_without_a_failed_request(tmp_path: Path) -> None:
    models = tmp_path / "brain-tumor"
    shutil.copytree(SHIPPED_MODEL / "1", models / "1")
    classes = ("cat", "dog", "horse")
    staged = publish(tmp_path / "staging", build_keras(classes, size=(48, 64)), class_names=classes)
    with (
        processes.model_server(tmp_path / "model-server", base_path=models) as model_server,
        processes.gateway(tmp_path / "gateway", model_server.port) as gateway,
    ):
        clients = [Client(gateway.url) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        processes.wait_until(lambda: all(client.versions[1] > 5 for client in clients), "predictions of version 1")
        staged.rename(models / "2")
        for client in clients:
            client.join(120)
        assert [client.failures for client in clients] == [[]] * CLIENTS
        assert all(client.versions[2] >= AFTER_SWAP for client in clients)
        assert model_server.process.poll() is None and gateway.process.poll() is None


class Client(threading.Thread):
    """Sends images one after the other until version 2 has made ``AFTER_SWAP`` predictions."""

    CLASSES: ClassVar = {1: {"glioma", "meningioma", "notumor", "pituitary"}, 2: {"cat", "dog", "horse"}}

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.versions = {1: 0, 2: 0}
        self.failures: list[str] = []

    def run(self) -> None:
        with requests.Session() as session:
            for _ in range(MAX_REQUESTS):
                if self.versions[2] >= AFTER_SWAP:
                    return
                self.send(session)

    def send(self, session: requests.Session) -> None:
        response = predict(self.url, session)
        if response.status_code != 200:
            self.failures.append(response.text)
            return
        document = response.json()
        version = document["model"]["version"]
        if set(document["probabilities"]) != self.CLASSES[version]:
            self.failures.append(f"version {version} gave the classes {sorted(document['probabilities'])}")
        self.versions[version] += 1
