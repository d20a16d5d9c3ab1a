"""An image's whole way through both tiers as processes, with the shipped model."""

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
from tests.processes import EXAMPLES, SHIPPED_MODEL

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
    answer = requests.post(f"{gateway}/predict", files={"image": example(class_name)}, timeout=30)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document["class"] == class_name
    assert sorted(document["probabilities"]) == CLASSES
    assert sum(document["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert document["out_of_distribution"]["flag"] is False
    assert document["model"] == {"name": "brain-tumor", "version": 1}
    assert document["notice"] == f"{RESEARCH_NOTICE} {PHANTOM_NOTICE}"
    assert document["request_id"] == answer.headers["X-Request-ID"]


def test_every_way_to_send_a_image_gives_the_same_answer(gateway: str, website: WebServer) -> None:
    image = example("pituitary")
    url = f"{gateway}/predict"
    answers = [
        requests.post(url, files={"image": image}, timeout=30),
        requests.post(url, data=image, headers={"Content-Type": "image/jpeg"}, timeout=30),
        requests.post(url, json={"image": base64.b64encode(image).decode()}, timeout=30),
        requests.post(url, json={"url": website.serve("/scan.jpg", image)}, timeout=30),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    first, *others = (answer.json()["probabilities"] for answer in answers)
    assert others == [first] * 3


def test_several_images_are_answered_in_order(gateway: str) -> None:
    files = [("image", example("notumor")), ("image", b"not an image"), ("image", example("glioma"))]
    predictions = requests.post(f"{gateway}/predict", files=files, timeout=30).json()["predictions"]
    assert [prediction.get("class") for prediction in predictions] == ["notumor", None, "glioma"]
    assert predictions[1]["status"] == 415


def test_an_explanation_is_a_image(gateway: str) -> None:
    answer = requests.post(f"{gateway}/predict?explain=true", files={"image": example("meningioma")}, timeout=30)
    overlay = Image.open(io.BytesIO(base64.b64decode(answer.json()["explanation"]["png"])))
    assert overlay.format == "PNG"
    red, _, blue = ImageStat.Stat(overlay.convert("RGB")).mean
    assert red > blue  # the heat map is red and yellow, the scan grey


def test_the_pages_for_operators(gateway: str) -> None:
    assert requests.get(f"{gateway}/", timeout=10).json()["model"] == {"name": "brain-tumor", "version": 1}
    assert requests.get(f"{gateway}/livez", timeout=10).status_code == 200
    assert requests.get(f"{gateway}/readyz", timeout=10).status_code == 200
    assert "# TYPE" in requests.get(f"{gateway}/metrics", timeout=10).text


def test_the_shipped_metadata_says_phantom() -> None:
    metadata = ModelMetadata.from_json((SHIPPED_MODEL / "1" / METADATA_ASSET).read_text())
    assert metadata.training["data"] == "phantom"
    assert PHANTOM_NOTICE in metadata.notice
    assert json.loads((SHIPPED_MODEL / "1" / METADATA_ASSET).read_text())["notice"] == metadata.notice


def example(class_name: str) -> bytes:
    return (EXAMPLES / f"{class_name}.jpg").read_bytes()
