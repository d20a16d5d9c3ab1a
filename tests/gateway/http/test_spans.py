"""The spans of requests: what they say, where they lead, and what they keep to themselves."""

import io
import logging
from collections.abc import Callable, Iterator
from http import HTTPStatus
from ipaddress import ip_network

import grpc
import h11
import pytest
from flask.testing import FlaskClient

from brain_tumor.contract import DESCRIBE_SIGNATURE, MODEL_NAME, PREDICT_SIGNATURE
from brain_tumor.processes import free_port
from gateway.app import create_app
from gateway.edge.head import read_head
from gateway.edge.messages import UNREAD, Problem
from gateway.http.refusals import Refusals
from gateway.metrics import Metrics
from gateway.model.channel import METHOD
from gateway.model.client import ModelClient
from gateway.settings import Settings
from tests.brain_tumor import images
from tests.gateway.calls import PNG, predict
from tests.gateway.fake_model_server import FakeModelServer, abort_with
from tests.tracing.collector import CLIENT, SERVER, Collector, collector, traced
from tracing.spans import NO_SPAN, Tracing, current

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
LOOPBACK = (ip_network("127.0.0.1/32"),)


@pytest.fixture
def receiver() -> Iterator[Collector]:
    with collector() as running:
        yield running


@pytest.fixture
def tracing(receiver: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracing]:
    with traced(receiver, monkeypatch) as tracing:
        yield tracing


@pytest.fixture
def make_traced(tracing: Tracing, model_server: FakeModelServer) -> Iterator[Callable[..., FlaskClient]]:
    """A function that makes a client of a gateway with traces."""
    made: list[ModelClient] = []

    def make(**changes: object) -> FlaskClient:
        settings = Settings(**{"model_server": model_server.address, "deadline": 20.0, **changes})
        made.append(ModelClient(settings.model_server, settings.model_name, max_age=600.0, check_age=0))
        return create_app(settings, made[-1], tracing=tracing).test_client()

    yield make
    for model_client in made:
        model_client.close()


@pytest.fixture
def traced_client(make_traced: Callable[..., FlaskClient]) -> FlaskClient:
    return make_traced()


def test_a_prediction(receiver, traced_client, model_server):
    response = traced_client.post("/predict?explain=true", data=images.GLIOMA, headers={**PNG, **SAMPLED})
    assert response.status_code == 200
    request = receiver.one("POST /predict")
    assert (request.kind, request.trace_id, request.parent_id) == (SERVER, TRACE, PARENT)
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
    }
    assert receiver.children(request) == ["source", METHOD, "preprocess", "predict", "postprocess"]
    assert receiver.children(receiver.one("postprocess")) == ["overlay"]
    assert {span.trace_id for span in receiver.spans} == {TRACE}
    describe, call = receiver.named(METHOD)
    assert describe.parent_id == request.span_id
    assert call.parent_id == receiver.one("predict").span_id
    assert [span.attributes["model.signature"] for span in (describe, call)] == [DESCRIBE_SIGNATURE, PREDICT_SIGNATURE]
    assert call.kind == CLIENT
    assert call.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": "tensorflow.serving.PredictionService/Predict",
        "rpc.response.status_code": "OK",
        "model.name": MODEL_NAME,
        "model.version": 1,
        "model.signature": PREDICT_SIGNATURE,
        "model.precision": "float32",
        "batch.rows": 1,
        "replica": f"ipv4:{model_server.address}",
    }
    # The model server learns which span it works for.
    assert [(headers["traceparent"], headers["tracestate"]) for headers in model_server.headers] == [
        (f"00-{TRACE}-{span.span_id}-01", "vendor=1") for span in (describe, call)
    ]


def test_a_call_says_which_version_label_it_asks_for(receiver, tracing, model_server):
    model_server.labels["stable"] = 1
    model_client = ModelClient(model_server.address, MODEL_NAME, version_label="stable")
    client = create_app(Settings(deadline=20.0), model_client, tracing=tracing).test_client()
    assert predict(client).status_code == 200
    model_client.close()
    receiver.wait_for("POST /predict")
    assert {span.attributes["model.label"] for span in receiver.named(METHOD)} == {"stable"}


def test_the_current_span_is_gone_after_the_request(receiver, traced_client):
    predict(traced_client)
    receiver.wait_for("POST /predict")
    assert current() is NO_SPAN


def test_a_request_that_is_not_sampled_says_so_to_the_model_server(receiver, traced_client, model_server):
    traced_client.post("/predict", data=images.GLIOMA, headers={**PNG, "traceparent": f"00-{TRACE}-{PARENT}-00"})
    predict(traced_client)
    receiver.wait_for("POST /predict")
    sampled = [int(headers["traceparent"][-2:], 16) & 1 for headers in model_server.headers]
    assert sampled == [0, 0, 1]
    assert len(receiver.named("POST /predict")) == 1


def test_nothing_of_the_client_s_is_in_a_span(receiver, make_traced, web):
    client = make_traced(url_allowed_networks=LOOPBACK, url_ports=frozenset({web.port}))
    headers = {"User-Agent": "doe", "Referer": "http://doe.example/", "X-Request-ID": "doe-1", "Host": "doe.example"}
    form = {"image": (io.BytesIO(images.GLIOMA), "doe.png")}
    assert client.post("/predict?name=doe", data=form, headers=headers).status_code == 200
    assert client.post("/predict", json={"url": web.serve("/doe.png", images.GLIOMA)}).status_code == 200
    assert client.post("/predict", json={"url": web.url("/doe-missing")}).status_code == 422
    assert client.get("/doe?name=doe", headers=headers).status_code == 404
    assert client.open("/predict", method="DOE").status_code == 405
    client.post("/v2/models/doe/versions/1/infer", json={"inputs": [{"name": "doe", "shape": [1], "datatype": "FP32"}]})
    receiver.wait_for("POST /v2/models/<model>/versions/<version>/infer")
    first, second = receiver.wait_for("fetch", 2)
    assert first.events == [("fetched", {"outcome": "fetched"})]
    assert second.events == [("fetched", {"outcome": "source_unreachable"})]
    (unmatched,) = receiver.named("GET")
    assert unmatched.attributes == {"http.request.method": "GET", "http.response.status_code": 404}
    (unknown,) = receiver.named("HTTP")
    assert unknown.attributes == {"http.request.method": "_OTHER", "http.response.status_code": 405}
    assert "doe" not in receiver.text.lower()


def test_the_server_of_an_image_is_told_of_no_trace(receiver, make_traced, web):
    client = make_traced(url_allowed_networks=LOOPBACK, url_ports=frozenset({web.port}))
    client.post("/predict", json={"url": web.serve("/scan.png", images.GLIOMA)}, headers=SAMPLED)
    receiver.wait_for("POST /predict")
    ((_, sent),) = web.requests
    assert {name.lower() for name in sent} & {"traceparent", "tracestate"} == set()


def test_what_clients_do_wrong_is_no_failure(receiver, traced_client):
    assert traced_client.post("/predict", data=b"\x00" * 99, headers=PNG).status_code == 415
    request = receiver.one("POST /predict")
    assert not request.failed
    assert request.attributes["http.response.status_code"] == 415
    assert request.events == [("refused", {"reason": "unknown_image_type"})]


def test_a_model_server_that_fails(receiver, traced_client, model_server):
    model_server.fault = abort_with(grpc.StatusCode.INTERNAL)
    assert predict(traced_client).status_code == 502
    request = receiver.one("POST /predict")
    assert request.failed
    assert request.attributes["error.type"] == "502"
    assert request.events == [("refused", {"reason": "model_error"})]
    call = receiver.one(METHOD)
    assert call.failed
    assert call.attributes["error.type"] == call.attributes["rpc.response.status_code"] == "INTERNAL"
    assert "10.1.2.3" not in receiver.text  # of the fault's message


def test_a_replica_that_is_gone_is_an_event(receiver, make_traced, model_server):
    gone = f"127.0.0.1:{free_port()}"
    client = make_traced(model_server=f"ipv4:{gone},{model_server.address}")
    for _ in range(2):  # one of two calls in turn begins with the replica that is gone
        assert predict(client).status_code == 200
    calls = receiver.wait_for(METHOD, 3)
    assert [event for call in calls for event in call.events] == [
        ("attempt failed", {"result": "unavailable", "replica": f"ipv4:{gone}"})
    ]
    assert {call.attributes["replica"] for call in calls} == {f"ipv4:{model_server.address}"}


def test_what_is_asked_every_few_seconds_has_no_span(receiver, traced_client):
    for path in ("/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"):
        assert traced_client.get(path, headers=SAMPLED).status_code == 200
    assert traced_client.get("/openapi.json").status_code == 200
    receiver.wait_for("GET /openapi.json")
    assert {span.name for span in receiver.spans} == {"GET /openapi.json"}


def test_a_request_that_the_edge_refuses(receiver, tracing):
    problem = Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Too large.", "/predict")
    sent = [(name, value.encode()) for name, value in {"host": "doe.example", **SAMPLED}.items()]
    head = read_head(h11.Request(method=b"POST", target=b"/predict?name=doe", headers=sent))
    refuse = Refusals(Metrics(), (), tracing)
    refuse(problem, head)
    refuse(problem._replace(status=HTTPStatus.SERVICE_UNAVAILABLE, route=UNREAD, reason="overloaded"), head)
    refuse(problem, None)  # nothing of it could be read
    refused, busy = receiver.one("POST /predict"), receiver.one("POST")
    assert (refused.trace_id, refused.parent_id, refused.failed, busy.failed) == (TRACE, PARENT, False, True)
    assert refused.attributes == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 413,
    }
    assert refused.events == [("refused", {"reason": "content_too_large"})]
    assert busy.attributes == {"http.request.method": "POST", "http.response.status_code": 503, "error.type": "503"}
    assert len(receiver.spans) == 2
    assert "doe" not in receiver.text


def test_the_line_in_the_access_log_is_within_the_span(receiver, traced_client, monkeypatch):
    seen = []
    monkeypatch.setattr(logging.getLogger("gateway.http.access_log"), "log", lambda *_: seen.append(current().trace_id))
    traced_client.post("/predict", data=images.GLIOMA, headers={**PNG, **SAMPLED})
    assert seen == [TRACE]


def test_without_traces_the_model_server_is_told_nothing(client, model_server):
    assert client.post("/predict", data=images.GLIOMA, headers={**PNG, **SAMPLED}).status_code == 200
    assert len(model_server.headers) == 2
    assert {name for headers in model_server.headers for name in headers} & {"traceparent", "tracestate"} == set()
