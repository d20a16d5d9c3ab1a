import re
from http import HTTPStatus
from pathlib import Path

import grpc
import pytest
from werkzeug.exceptions import NotFound

from gateway import VERSION
from gateway.deadline import ClientLeft
from gateway.edge.messages import BUSY, Problem
from gateway.http import errors
from gateway.http.refusals import Refusals
from gateway.metrics import Metrics
from tests.brain_tumor import images
from tests.gateway.calls import PNG, form, predict
from tests.gateway.fake_model_server import abort_with
from tests.gateway.images.fetchers import LOOPBACK

ROOT = Path(__file__).parents[3]


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


def test_build_info(make_client):
    text = make_client(revision="0a1b2c").get("/metrics").get_data(as_text=True)
    assert re.search(
        rf'^gateway_build_info{{python="3\.\d+\.\d+",revision="0a1b2c",version="{VERSION}"}} 1.0$', text, re.M
    )


def test_refusals_are_counted_by_reason(client, metric, model_server):
    client.post("/predict", data=b"bad", headers=PNG)
    client.post("/predict", data=form(images.GLIOMA, b"bad", images.GLIOMA[:-30]))
    client.get("/doe")
    model_server.fault = abort_with(grpc.StatusCode.NOT_FOUND)
    predict(client)
    assert metric('gateway_refusals_total{reason="unknown_image_type"}') == 2
    assert metric('gateway_refusals_total{reason="image_error"}') == 1
    assert metric('gateway_refusals_total{reason="not_found"}') == 1
    assert metric('gateway_refusals_total{reason="model_error"}') == 1


def test_every_reason_is_a_word_of_ours():
    metrics = Metrics()
    for kind, _, _ in errors.TABLE:
        metrics.refused(errors.reason(kind.__new__(kind)))
    metrics.refused(errors.reason(ClientLeft()))
    metrics.refused(errors.reason(NotFound("doe")))
    metrics.refused(errors.reason(RuntimeError("doe")))
    reasons = re.findall(r'gateway_refusals_total{reason="(.*)"} 1.0', metrics.render().decode())
    assert len(reasons) == len(errors.TABLE) + 3
    assert {"overloaded", "client_left", "not_found", "internal_server_error"} <= set(reasons)
    assert all(re.fullmatch("[a-z_]+", reason) for reason in reasons)


@pytest.mark.parametrize(
    ("problem", "reason"),
    [(BUSY, "overloaded"), (Problem(HTTPStatus.UNAUTHORIZED, "doe"), "unauthorized")],
    ids=["with a word of its own", "by its status"],
)
def test_what_the_edge_refuses_is_counted_too(problem, reason):
    metrics = Metrics()
    Refusals(metrics)(problem, None)
    assert f'gateway_refusals_total{{reason="{reason}"}} 1.0' in metrics.render().decode()


def test_fetches_are_counted_by_outcome(make_client, web):
    client = make_client(url_allowed_networks=LOOPBACK, url_ports=frozenset({web.port}), max_body=20_000)
    good, large = web.serve("/scan.png", images.NOTUMOR), web.serve("/large.png", b"a" * 20_001)
    for url in (good, large, "http://doe.invalid/", f"http://127.0.0.1:{web.port}/missing"):
        client.post("/predict", json={"url": url})
    found = dict(
        re.findall(r'gateway_fetches_total{outcome="(.*)"} (.*)', client.get("/metrics").get_data(as_text=True))
    )
    assert found == {"fetched": "1.0", "source_too_large": "1.0", "url_refused": "1.0", "source_unreachable": "1.0"}


def test_the_document_names_every_metric(client):
    predict(client)
    names = set(re.findall(r"^# TYPE (gateway_\w+(?<!_created)) ", client.get("/metrics").get_data(as_text=True), re.M))
    document = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(gateway_\w+)", document)) == names
