import threading

import grpc

from brain_tumor import contract
from gateway import VERSION
from tests.gateway.calls import predict
from tests.gateway.fake_model_server import (
    FakeModel,
    abort_with,
    fake_model_server,
    hold_until,
    metadata,
    wait_for,
)


def test_index_before_and_after_the_first_response(client, model_server):
    before = client.get("/").get_json()
    assert before == {
        "name": "brain-tumor-gateway",
        "version": VERSION,
        "model": None,
        "notice": contract.RESEARCH_NOTICE,
        "links": {
            "predict": "/predict",
            "model": "/model",
            "livez": "/livez",
            "readyz": "/readyz",
            "metrics": "/metrics",
            "openapi": "/openapi.json",
            "docs": "/docs",
            "v2": "/v2",
        },
    }
    assert model_server.calls == []
    predict(client)
    assert client.get("/").get_json()["model"] == {"name": "brain-tumor", "version": 1, "precision": "float32"}


def test_links_of_the_index_exist(client):
    for path in client.get("/").get_json()["links"].values():
        assert client.get(path).status_code in (200, 405)


def model_state(client) -> dict[str, object]:
    return client.get("/readyz").get_json()["model"]


def test_livez_never_asks_the_model_server(client, model_server):
    assert client.get("/livez").get_json() == {"status": "alive"}
    assert model_server.calls == []


def test_readyz_of_a_running_model(client, model_server):
    model_server.model = FakeModel(metadata(), version=3)
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.get_json() == {
        "status": "ready",
        "model": {"state": "available", "name": "brain-tumor", "version": 3},
    }


def test_not_ready_until_the_model_server_has_responded_once_then_ready_without_it(make_client):
    with fake_model_server() as server:
        port = server.port
    client = make_client(model_server=f"127.0.0.1:{port}")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.get_json() == {"status": "not ready", "model": {"state": "error", "code": "UNAVAILABLE"}}
    assert int(response.headers["Retry-After"]) > 0
    with fake_model_server() as server:
        client = make_client(model_server=server.address)
        assert client.get("/readyz").status_code == 200
    wait_for(lambda: model_state(client) == {"state": "error", "code": "UNAVAILABLE"})
    assert client.get("/readyz").status_code == 200


def test_readyz_follows_the_model_server(client, model_server):
    client.get("/readyz")
    model_server.fault = abort_with(grpc.StatusCode.NOT_FOUND)
    wait_for(lambda: model_state(client) == {"state": "error", "code": "NOT_FOUND"})
    model_server.fault = None
    wait_for(lambda: model_state(client)["state"] == "available")


def test_readyz_notices_a_new_version(client, model_server):
    client.get("/readyz")
    model_server.model = FakeModel(metadata(), version=2)
    wait_for(lambda: model_state(client)["version"] == 2)
    assert predict(client).get_json()["model"]["version"] == 2
    assert model_server.count(contract.DESCRIBE_SIGNATURE) == 2


def test_readyz_is_brief_when_the_model_server_is_silent(client, model_server):
    release = threading.Event()
    model_server.fault = hold_until(release)
    try:
        response = client.get("/readyz")
    finally:
        release.set()
    assert response.status_code == 503
    assert response.get_json()["model"] == {"state": "error", "code": "DEADLINE_EXCEEDED"}


def test_readyz_with_bad_metadata(client, model_server):
    model_server.model = FakeModel(metadata(), metadata_text="{}")
    assert client.get("/readyz").get_json()["model"] == {"state": "error", "code": "BAD_METADATA"}


def test_the_log_says_why_it_is_not_ready_once(client, model_server, caplog):
    caplog.set_level("INFO", "gateway.http.status")
    model_server.name = "another"
    for _ in range(2):
        assert client.get("/readyz").status_code == 503
    model_server.name = contract.MODEL_NAME
    wait_for(lambda: client.get("/readyz").status_code == 200)
    assert client.get("/readyz").status_code == 200
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "the model does not respond: NOT_FOUND: Servable not found for request: brain-tumor"),
        ("INFO", "the model responds: brain-tumor version 1"),
    ]
