import grpc
import pytest

from tests.brain_tumor import images
from tests.gateway.calls import PNG, predict


@pytest.fixture
def metric(client):
    def value(series: str) -> float:
        for sample in client.get("/metrics").get_data(as_text=True).splitlines():
            if sample.startswith(series + " "):
                return float(sample.split()[-1])
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
    assert metric('gateway_stage_seconds_count{stage="source"}') == 3
    assert metric('gateway_stage_seconds_count{stage="preprocess"}') == 3
    assert metric('gateway_stage_seconds_count{stage="predict"}') == 2
    assert metric('gateway_stage_seconds_count{stage="postprocess"}') == 2
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


def test_metrics_count_calls_of_the_model_server(client, metric, model_server):
    failures = iter([True, False])

    def fault(signature, context) -> None:
        if signature == "serving_default" and next(failures):
            context.abort(grpc.StatusCode.UNAVAILABLE, "moving")

    model_server.fault = fault
    assert predict(client).status_code == 200
    assert metric('gateway_model_calls_total{result="response"}') == 2  # describe, and predict again
    assert metric('gateway_model_calls_total{result="unavailable"}') == 1
    assert metric("gateway_model_ejections_total") == 1
