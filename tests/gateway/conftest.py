from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from flask.testing import FlaskClient

from gateway.app import create_app
from gateway.model.client import ModelClient
from gateway.settings import Settings
from tests.gateway.fake_model_server import FakeModelServer, fake_model_server
from tests.gateway.web_server import WebServer, web_server

# The deadline of tests that do not wait for it; a busy machine must not meet it.
SECONDS = 20.0


@pytest.fixture
def model_server() -> Iterator[FakeModelServer]:
    with fake_model_server() as server:
        yield server


@pytest.fixture
def make_client(model_server) -> Iterator[Callable[..., FlaskClient]]:
    """A function that makes a client of a gateway: make_client(max_age=..., any field of Settings=...)."""
    with ExitStack() as stack:

        def make(max_age: float = 600.0, **changes: object) -> FlaskClient:
            settings = Settings(**{"model_server": model_server.address, "deadline": SECONDS, **changes})
            servers = [(settings.model_server, settings.version_label)]
            if settings.has_canary:
                servers.append((settings.canary_server or settings.model_server, settings.canary_version_label))
            clients = [
                ModelClient(server, settings.model_name, max_age, check_age=0, version_label=label)
                for server, label in servers
            ]
            for client in clients:
                stack.callback(client.close)
            canary_client = clients[1] if settings.has_canary else None
            return create_app(settings, clients[0], canary_client=canary_client).test_client()

        yield make


@pytest.fixture
def client(make_client) -> FlaskClient:
    return make_client()


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server
