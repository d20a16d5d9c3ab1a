"""An image goes through both tiers as processes, with the shipped model."""

import base64
import io
import json
from collections.abc import Iterator

import pytest
import requests
from PIL import Image, ImageStat

from brain_tumor.contract import METADATA_ASSET, PHANTOM_NOTICE, RESEARCH_NOTICE
from brain_tumor.metadata import ModelMetadata
from tests import processes
from tests.gateway.web_server import WebServer, web_server
from tests.integration.requests_ import example
from tests.processes import SHIPPED_MODEL

CLASSES = ["glioma", "meningioma", "notumor", "pituitary"]


@pytest.fixture(scope="module")
def website() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(website: WebServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    logs = tmp_path_factory.mktemp("logs")
    allowed = {"GATEWAY_URL_ALLOWED_NETWORKS": "127.0.0.0/8", "GATEWAY_URL_PORTS": str(website.port)}
    with (
        processes.model_server(logs / "model-server") as model_server,
        processes.gateway(logs / "gateway", model_server.port, **allowed) as gateway,
    ):
        yield gateway.url


@pytest.mark.parametrize("class_name", CLASSES)
def test_each_example_is_classified(gateway: str, class_name: str) -> None:
    response = requests.post(f"{gateway}/predict", files={"image": example(class_name)}, timeout=30)
    assert response.status_code == 200, response.text
    document = response.json()
    assert document["class"] == class_name
    assert sorted(document["probabilities"]) == CLASSES
    assert sum(document["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert document["out_of_distribution"]["flag"] is False
    assert document["model"] == {"name": "brain-tumor", "version": 1, "precision": "float32"}
    assert document["notice"] == f"{RESEARCH_NOTICE} {PHANTOM_NOTICE}"
    assert document["request_id"] == response.headers["X-Request-ID"]


def test_every_way_to_send_an_image_gives_the_same_prediction(gateway: str, website: WebServer) -> None:
    image = example("pituitary")
    url = f"{gateway}/predict"
    responses = [
        requests.post(url, files={"image": image}, timeout=30),
        requests.post(url, data=image, headers={"Content-Type": "image/jpeg"}, timeout=30),
        requests.post(url, json={"image": base64.b64encode(image).decode()}, timeout=30),
        requests.post(url, json={"url": website.serve("/scan.jpg", image)}, timeout=30),
    ]
    assert [response.status_code for response in responses] == [200] * 4
    first, *others = (response.json()["probabilities"] for response in responses)
    assert others == [first] * 3


def test_predictions_of_several_images_are_in_order(gateway: str) -> None:
    files = [("image", example("notumor")), ("image", b"not an image"), ("image", example("glioma"))]
    predictions = requests.post(f"{gateway}/predict", files=files, timeout=30).json()["predictions"]
    assert [prediction.get("class") for prediction in predictions] == ["notumor", None, "glioma"]
    assert predictions[1]["status"] == 415


def test_an_explanation_is_an_image(gateway: str) -> None:
    response = requests.post(f"{gateway}/predict?explain=true", files={"image": example("meningioma")}, timeout=30)
    overlay = Image.open(io.BytesIO(base64.b64decode(response.json()["explanation"]["png"])))
    assert overlay.format == "PNG"
    red, _, blue = ImageStat.Stat(overlay.convert("RGB")).mean
    assert red > blue  # the heat map is red and yellow, the scan grey


def test_the_routes_for_operators(gateway: str) -> None:
    assert requests.get(f"{gateway}/", timeout=10).json()["model"] == {
        "name": "brain-tumor",
        "version": 1,
        "precision": "float32",
    }
    assert requests.get(f"{gateway}/livez", timeout=10).status_code == 200
    assert requests.get(f"{gateway}/readyz", timeout=10).status_code == 200
    assert "# TYPE" in requests.get(f"{gateway}/metrics", timeout=10).text


def test_the_shipped_metadata_says_phantom() -> None:
    metadata = ModelMetadata.from_json((SHIPPED_MODEL / "1" / METADATA_ASSET).read_text())
    assert metadata.training["data"] == "phantom"
    assert PHANTOM_NOTICE in metadata.notice
    assert json.loads((SHIPPED_MODEL / "1" / METADATA_ASSET).read_text())["notice"] == metadata.notice
