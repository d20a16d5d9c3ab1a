import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from wsgiref.types import WSGIEnvironment

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from brain_tumor import contract
from gateway.classify.classifier import Classifier
from gateway.deadline import Deadline
from gateway.edge.messages import DEADLINE, SLOT
from gateway.http import access_log, errors
from gateway.http.predict import predict_routes
from gateway.images.from_request import ImageSource
from gateway.metrics import Metrics
from gateway.model.client import ModelClient
from tests.brain_tumor import images
from tests.gateway.calls import PNG, check_problem, form
from tests.gateway.images.fetchers import fetcher


def test_several_images_in_order_in_one_call(client, model_server):
    files = [images.NOTUMOR, images.GLIOMA, images.MENINGIOMA]
    response = client.post("/predict", data=form(*files), headers={"X-Request-ID": "r-1"})
    assert response.status_code == 200
    predictions = response.get_json()["predictions"]
    assert [prediction["class"] for prediction in predictions] == ["notumor", "glioma", "meningioma"]
    for prediction in predictions:
        assert prediction["request_id"] == "r-1"
        assert prediction["notice"]
        assert prediction["model"]
    assert [len(batch) for batch in model_server.batches] == [3]


def test_one_bad_image_among_several_has_its_own_problem(client, model_server):
    files = [images.GLIOMA, b"", images.SVG, images.NOTUMOR, images.BAD["bomb"][0]]
    response = client.post("/predict", data=form(*files))
    assert response.status_code == 200
    first, empty, svg, last, bomb = response.get_json()["predictions"]
    assert (first["class"], last["class"]) == ("glioma", "notumor")
    assert [problem["status"] for problem in (empty, svg, bomb)] == [400, 415, 413]
    assert svg["request_id"] == first["request_id"]
    assert [len(batch) for batch in model_server.batches] == [2]


def test_explanation_shows_where_the_class_was_seen(client, model_server):
    response = client.post("/predict?explain=true", data=images.plain(200, 30, 30, size=(100, 80)), headers=PNG)
    explanation = response.get_json()["explanation"]
    assert explanation["class"] == "glioma"
    overlay = np.asarray(Image.open(io.BytesIO(base64.b64decode(explanation["png"]))))
    assert overlay.shape == (80, 100, 3)
    assert overlay[0, 0].tolist() != [200, 30, 30]  # the fake model's map speaks for the top left corner
    assert overlay[-1, -1].tolist() == [200, 30, 30]
    assert model_server.calls[-1] == (
        contract.PREDICT_SIGNATURE,
        [contract.PROBABILITIES, contract.OUT_OF_DISTRIBUTION, contract.ACTIVATION_MAPS],
    )


def test_explanations_of_several_images(client):
    response = client.post("/predict?explain=true", data=form(images.GLIOMA, b"bad", images.NOTUMOR))
    first, problem, last = response.get_json()["predictions"]
    assert (first["explanation"]["class"], last["explanation"]["class"]) == ("glioma", "notumor")
    assert "explanation" not in problem


@pytest.mark.parametrize("query", ["", "?explain=false", "?explain=0"])
def test_without_explanation_maps_are_not_computed(client, model_server, query):
    response = client.post(f"/predict{query}", data=images.GLIOMA, headers=PNG)
    assert "explanation" not in response.get_json()
    assert model_server.calls[-1][1] == [contract.PROBABILITIES, contract.OUT_OF_DISTRIBUTION]


def test_every_way_to_ask_for_an_explanation(client):
    text = base64.b64encode(images.GLIOMA).decode()
    for path, send in (
        ("/predict?explain", {"data": images.GLIOMA, "headers": PNG}),
        ("/predict/?explain=1", {"data": images.GLIOMA, "headers": PNG}),
        ("/predict", {"data": {**form(images.GLIOMA), "explain": "on"}}),
        ("/predict/", {"json": {"image": text, "explain": True}}),
    ):
        response = client.post(path, **send)
        assert response.status_code == 200, response.get_json()
        assert "explanation" in response.get_json()


@pytest.mark.parametrize("query", ["?explain=truee", "?page=0"])
def test_options_that_mean_nothing(client, query):
    check_problem(client.post(f"/predict{query}", data=images.GLIOMA, headers=PNG), 400)


def test_each_image_of_a_list_has_its_own_document_or_problem(make_client, model_server, web):
    client = make_client(url_allowed_networks=(ip_network("127.0.0.1/32"),), url_ports=frozenset({80, web.port}))
    text = base64.b64encode(images.GLIOMA).decode()
    sent = [
        {"url": web.serve("/scan.png", images.NOTUMOR)},
        {"url": web.url("/gone")},
        text,
        {"url": "http://169.254.169.254/"},
        "no base64!",
        {"url": "ftp://example.com/"},
        base64.b64encode(images.SVG).decode(),
    ]
    response = client.post("/predict", json={"instances": sent})
    assert response.status_code == 200
    predictions = response.get_json()["predictions"]
    assert [predictions[0]["class"], predictions[2]["class"]] == ["notumor", "glioma"]
    assert [problem.get("status") for problem in predictions] == [None, 422, None, 422, 400, 422, 415]
    assert [len(batch) for batch in model_server.batches] == [2]


def test_a_list_of_one_gets_a_list(client):
    good, bad = base64.b64encode(images.GLIOMA).decode(), "no base64!"
    (prediction,) = client.post("/predict", json={"images": [good]}).get_json()["predictions"]
    assert prediction["class"] == "glioma"
    (problem,) = client.post("/predict", json={"images": [bad]}).get_json()["predictions"]
    assert problem["status"] == 400
    check_problem(client.post("/predict", json={"image": bad}), 400)


def test_a_source_that_does_not_respond_leaves_time_for_the_other_images(make_client, web):
    options = {"url_allowed_networks": (ip_network("127.0.0.1/32"),), "url_ports": frozenset({web.port})}
    client = make_client(deadline=2.0, url_timeout=20.0, **options)
    slow, good = web.drip("/slow", b"HTTP/1.1 200 OK\r\n\r\n", b"a"), web.serve("/scan.png", images.NOTUMOR)
    response = client.post("/predict", json={"urls": [slow, good]})
    assert response.status_code == 200
    first, second = response.get_json()["predictions"]
    assert (first["status"], second["class"]) == (422, "notumor")


def routes_client(model_server, events: list[str], web) -> FlaskClient:
    """A client of the route alone, whose permits to fetch write events."""
    metrics = Metrics()
    model_client = ModelClient(model_server.address, "brain-tumor")

    class Source(ImageSource):
        def fetch(self, items, deadline):
            events.append("fetch")
            return super().fetch(items, deadline)

    class Model(Classifier):
        def classify(self, *args, **options):
            events.append("classify")
            return super().classify(*args, **options)

    def slots(begins: str, ends: str):
        @contextmanager
        def hold(environ: WSGIEnvironment, deadline: Deadline) -> Iterator[None]:
            assert deadline is environ[DEADLINE]
            events.append(f"{begins} {environ[SLOT]}")
            yield
            events.append(ends)

        return staticmethod(hold)

    class Slots:
        fetching = slots("leave", "return")
        heavy = slots("heavy", "done")

    app = Flask("routes")
    access_log.register(app, metrics)
    errors.register(app, metrics)
    source = Source(fetcher(web), max_images=4, max_bytes=200_000)
    classifier = Model(model_client, metrics, max_pixels=10_000_000, decoders=1)
    app.register_blueprint(predict_routes(source, classifier, metrics, 20.0, Slots()))
    return app.test_client()


def test_a_request_leaves_its_slot_while_it_fetches(model_server, web):
    events: list[str] = []
    client = routes_client(model_server, events, web)
    environ = {SLOT: "slot 1", DEADLINE: Deadline(20)}
    url = web.serve("/scan.png", images.GLIOMA)
    assert client.post("/predict", json={"url": url}, environ_overrides=environ).status_code == 200
    assert events == ["leave slot 1", "fetch", "return", "classify"]
    events.clear()
    assert client.post("/predict", data=images.GLIOMA, headers=PNG, environ_overrides=environ).status_code == 200
    assert events == ["classify"]


def test_heavy_images_leave_the_slot_to_others(model_server, web):
    events: list[str] = []
    client = routes_client(model_server, events, web)
    environ = {SLOT: "slot 1", DEADLINE: Deadline(20)}
    large = images.plain(size=(3000, 3000))
    assert client.post("/predict", data=large, headers=PNG, environ_overrides=environ).status_code == 200
    assert events == ["heavy slot 1", "classify", "done"]
    events.clear()
    several = form(*[images.plain(size=(1500, 1500))] * 4)
    assert client.post("/predict", data=several, environ_overrides=environ).status_code == 200
    assert events == ["heavy slot 1", "classify", "done"]


def test_the_environment_s_deadline_counts(model_server, web):
    deadline = Deadline(20)
    deadline.cancel()
    client = routes_client(model_server, [], web)
    response = client.post("/predict", data=images.GLIOMA, headers=PNG, environ_overrides={DEADLINE: deadline})
    assert response.status_code == 499
    assert model_server.batches == []
