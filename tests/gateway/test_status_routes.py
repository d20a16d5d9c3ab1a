import threading

import grpc
import pytest

from brain_tumor import contract
from gateway import VERSION
from tests.brain_tumor import images
from tests.gateway.fake_model_server import FakeModel, abort_with, fake_model_server, hold_until, metadata
from tests.gateway.test_model_faults import PNG, predict


def test_index_before_and_after_the_first_answer(client, model_server):
    before = client.get("/").get_json()
    assert before == {
        "name": "brain-tumor-gateway",
        "version": VERSION,
        "model": None,
        "notice": contract.RESEARCH_NOTICE,
        "links": {"predict": "/predict", "livez": "/livez", "readyz": "/readyz", "metrics": "/metrics"},
    }
    assert model_server.calls == []
    predict(client)
    assert client.get("/").get_json()["model"] == {"name": "brain-tumor", "version": 1}


def test_links_of_the_index_exist(client):
    for path in client.get("/").get_json()["links"].values():
        assert client.get(path).status_code in (200, 405)


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


def test_not_ready_until_the_model_server_has_answered_once_then_ready_without_it(make_client):
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
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.get_json() == {"status": "ready", "model": {"state": "error", "code": "UNAVAILABLE"}}


def test_readyz_asks_anew_each_time(client, model_server):
    client.get("/readyz")
    model_server.fault = abort_with(grpc.StatusCode.NOT_FOUND)
    assert client.get("/readyz").get_json()["model"] == {"state": "error", "code": "NOT_FOUND"}
    model_server.fault = None
    assert client.get("/readyz").get_json()["model"]["state"] == "available"
    assert model_server.count(contract.DESCRIBE_SIGNATURE) == 3


def test_readyz_notices_a_new_version(client, model_server):
    client.get("/readyz")
    model_server.model = FakeModel(metadata(), version=2)
    assert client.get("/readyz").get_json()["model"]["version"] == 2
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


def test_readyz_with_a_bad_metadata(client, model_server):
    model_server.model = FakeModel(metadata(), metadata_text="{}")
    assert client.get("/readyz").get_json()["model"] == {"state": "error", "code": "BAD_CARD"}


def test_the_log_says_why_it_is_not_ready_once(client, model_server, caplog):
    caplog.set_level("INFO", "gateway.status_routes")
    model_server.name = "another"
    for _ in range(2):
        assert client.get("/readyz").status_code == 503
    model_server.name = contract.MODEL_NAME
    for _ in range(2):
        assert client.get("/readyz").status_code == 200
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "the model does not answer: NOT_FOUND: Servable not found for request: brain-tumor"),
        ("INFO", "the model answers: brain-tumor version 1"),
    ]


@pytest.fixture
def metric(client):
    def value(line: str) -> float:
        for each in client.get("/metrics").get_data(as_text=True).splitlines():
            if each.startswith(line + " "):
                return float(each.split()[-1])
        return 0.0

    return value


def test_metrics_count_requests_and_stages(client, metric):
    predict(client)
    predict(client)
    client.post("/predict", data=b"bad", headers=PNG)
    client.get("/patient-doe")
    client.get("/livez")
    assert metric('gateway_requests_total{route="/predict",status="200"}') == 2
    assert metric('gateway_requests_total{route="/predict",status="415"}') == 1
    assert metric('gateway_requests_total{route="unmatched",status="404"}') == 1
    assert metric('gateway_requests_total{route="/livez",status="200"}') == 1
    assert metric('gateway_request_seconds_count{route="/predict"}') == 3
    assert metric('gateway_stage_seconds_count{stage="receive"}') == 3
    assert metric('gateway_stage_seconds_count{stage="source"}') == 3
    assert metric('gateway_stage_seconds_count{stage="preprocess"}') == 3
    assert metric('gateway_stage_seconds_count{stage="predict"}') == 2
    assert metric('gateway_stage_seconds_count{stage="postprocess"}') == 2
    assert metric("gateway_in_flight") == 0
    assert metric("process_resident_memory_bytes") > 0


def test_metrics_are_prometheus_text_without_client_data(client):
    client.post("/predict?explain=doe", data=images.GLIOMA, headers={**PNG, "X-Request-ID": "doe"})
    client.post("/predict", json={"url": "http://doe.invalid/"})
    client.open("/doe", method="GET")
    response = client.get("/metrics")
    assert response.content_type.startswith("text/plain; version=0.0.4")
    assert "doe" not in response.get_data(as_text=True)


def test_two_applications_in_one_process_count_apart(make_client):
    first, second = make_client(), make_client()
    first.get("/livez")
    assert 'route="/livez"' not in second.get("/metrics").get_data(as_text=True)
