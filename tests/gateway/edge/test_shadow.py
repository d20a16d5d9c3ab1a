"""Shadow work begins once a client has taken its response."""

import base64
import json
import socket

import pytest

from brain_tumor import contract
from tests.brain_tumor import images
from tests.gateway.edge.raw import get, head, read_reply, send, whole
from tests.gateway.fake_model_server import FakeModel, FakeModelServer, fake_model_server, metadata, wait_for
from tests.gateway.gateway_process import GatewayProcess

LARGE = base64.b64encode(images.encode(images.noise((512, 512)))).decode()
IMAGES = 8  # with a view and an overlay each: about 17 MB of response, more than the kernel takes


@pytest.fixture(scope="module")
def canary():
    with fake_model_server() as server:
        server.model = FakeModel(metadata(), version=2)
        yield server


@pytest.fixture(scope="module")
def gateway(start, canary, tmp_path_factory) -> GatewayProcess:
    path = tmp_path_factory.mktemp("canary") / "canary.toml"
    path.write_text("shadow = 100")
    return start(CANARY_SERVER_ADDRESS=canary.address, GATEWAY_CANARY_FILE=str(path))


def responded(gateway: GatewayProcess) -> int:
    """How many predictions the gateway has made a response to."""
    text = send(gateway, get("/metrics")).body.decode()
    series = 'gateway_requests_total{route="/predict",status="200"}'
    lines = [line for line in text.splitlines() if line.startswith(series)]
    return int(float(lines[0].split()[-1])) if lines else 0


def predictions(server: FakeModelServer) -> int:
    return server.count(contract.PREDICT_SIGNATURE)


def test_a_client_that_has_its_response_sees_nothing_of_the_shadow(gateway, canary):
    before = predictions(canary)
    reply = send(gateway, whole())
    assert (reply.status, reply.document["model"]["label"]) == (200, "stable")
    wait_for(lambda: predictions(canary) == before + 1)


def test_a_shadow_waits_for_a_client_that_takes_its_response_slowly(gateway, canary):
    before, responses = predictions(canary), responded(gateway)
    body = json.dumps({"images": [LARGE] * IMAGES}).encode()
    request = head("/predict?explain=true&view=true", f"Content-Length: {len(body)}") + body
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", gateway.port))
        connection.sendall(request.replace(b"image/png", b"application/json", 1))
        wait_for(lambda: responded(gateway) == responses + 1)
        assert send(gateway, get()).status == 200
        assert predictions(canary) == before
        reply = read_reply(connection)
        assert len(reply.document["predictions"]) == IMAGES
    wait_for(lambda: predictions(canary) == before + 1)


def test_a_client_that_never_takes_its_response_has_no_shadow(gateway, canary):
    before, responses = predictions(canary), responded(gateway)
    body = json.dumps({"images": [LARGE] * IMAGES}).encode()
    request = head("/predict?explain=true&view=true", f"Content-Length: {len(body)}") + body
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", gateway.port))
        connection.sendall(request.replace(b"image/png", b"application/json", 1))
        wait_for(lambda: responded(gateway) == responses + 1)
    assert send(gateway, whole()).status == 200
    wait_for(lambda: predictions(canary) == before + 1)
    assert len(canary.batches[-1]) == 1  # that of the last request
