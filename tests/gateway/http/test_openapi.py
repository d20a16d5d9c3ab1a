"""GET /openapi.json: that it says what the service does, by the tools that people use it with."""

import base64
import importlib
import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from gateway.app import create_app
from gateway.http.choice import MODEL_VERSION, ROUTING_KEY
from gateway.http.errors import MEANINGS, TABLE
from gateway.http.open_inference.request import JSON_LENGTH
from gateway.http.operations import operation_of
from gateway.http.options import PARAMETERS
from gateway.images.from_request import DICOM, OCTETS, URLENCODED
from gateway.images.sent import OPTIONS
from gateway.model.client import ModelClient
from gateway.settings import Settings
from tests.brain_tumor import images
from tests.gateway.calls import form
from tests.gateway.fake_model_server import wait_for
from tests.gateway.gateway_process import GatewayProcess, gateway_process

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture
def document(client):
    return client.get("/openapi.json").get_json()


@pytest.fixture
def gateway(model_server, tmp_path) -> Iterator[GatewayProcess]:
    with gateway_process(tmp_path / "log", model_server.port, GATEWAY_URL_FETCH="false") as process:
        wait_for(lambda: process.responds("/readyz"))
        yield process


def test_every_route_declares_itself(document):
    settings = Settings()
    app = create_app(settings, ModelClient(settings.model_server, settings.model_name))
    declared = {rule.rule: operation_of(app.view_functions[rule.endpoint]) for rule in app.url_map.iter_rules()}
    assert [rule for rule, operation in declared.items() if operation is None] == []
    # The files of the page are not for programs.
    assert [rule for rule, operation in declared.items() if not operation.is_described] == ["/static/<path:path>"]
    assert len(document["paths"]) == len(declared) - 1


def test_every_status_is_declared(document):
    declared = document["paths"]["/predict"]["post"]["responses"]
    assert {str(int(status)) for _, status, _ in TABLE} < set(declared)
    assert set(declared) == {"200", "404", "default", *(str(int(status)) for status in MEANINGS if status)}


def test_every_option_is_declared(document):
    operation = document["paths"]["/predict"]["post"]
    names = [parameter["name"] for parameter in operation["parameters"]]
    assert names == [*OPTIONS, MODEL_VERSION, ROUTING_KEY]
    assert all(parameter.meaning for parameter in PARAMETERS)
    for name in ("ImageRequest", "ImagesRequest", "UrlRequest", "UrlsRequest"):
        assert set(OPTIONS) < set(document["components"]["schemas"][name]["properties"])


def test_every_reference_leads_somewhere(document):
    def references(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    names = {reference.rpartition("/")[2] for reference in references(document)}
    assert names <= set(document["components"]["schemas"])
    assert {"Prediction", "ProblemDetails"} < names


def test_schemathesis_finds_nothing(gateway, tmp_path):
    result = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIGURATION),
            *("run", f"http://127.0.0.1:{gateway.port}/openapi.json"),
            *("--continue-on-failure", "--max-examples=40", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Test Phases" in result.stdout
    assert "ERROR" not in gateway.log


@contextmanager
def generated_client(document: bytes, folder: Path) -> Iterator[ModuleType]:
    """The package that openapi-python-client makes from a document."""
    (folder / "openapi.json").write_bytes(document)
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta=none"]
    command += [f"--path={folder / 'openapi.json'}", f"--output-path={folder / 'generated_client'}"]
    result = subprocess.run(command, capture_output=True, text=True, env={"PATH": str(Path(sys.executable).parent)})
    assert result.returncode == 0, result.stdout + result.stderr
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("generated_client")
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == "generated_client"]:
            del sys.modules[name]


def test_a_generated_client_works(gateway, tmp_path):
    with generated_client(gateway.request("GET", "/openapi.json")[2], tmp_path) as package:
        call = importlib.import_module("generated_client.api.predictions.classify_images")
        models = importlib.import_module("generated_client.models")
        types = importlib.import_module("generated_client.types")
        with package.Client(f"http://127.0.0.1:{gateway.port}") as client:
            files = [types.File(io.BytesIO(data), "scan.png") for data in (images.GLIOMA, images.MENINGIOMA)]
            one = call.sync(client=client, body=models.ImageForm(image=files[:1]), explain=True)
            assert isinstance(one, models.Prediction)
            assert one.class_ == "glioma"
            assert one.explanation.png
            assert one.probabilities.additional_properties["glioma"] > 0.9
            files = [types.File(io.BytesIO(data), "scan.png") for data in (images.GLIOMA, b"no image")]
            several = call.sync(client=client, body=models.ImageForm(image=files))
            assert isinstance(several, models.Predictions)
            problem = call.sync(client=client, body=models.UrlRequest(url="http://example.org/"))
            assert isinstance(problem, models.ProblemDetails)
            assert problem.status == 422


def test_inference_declares_its_header_and_its_errors(document):
    for path in ("/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer"):
        operation = document["paths"][path]["post"]
        places = {parameter["name"]: (parameter["in"], parameter["required"]) for parameter in operation["parameters"]}
        for header in (JSON_LENGTH, MODEL_VERSION, ROUTING_KEY):
            assert places.pop(header) == ("header", False)
        assert set(places.values()) == {("path", True)}
        assert JSON_LENGTH in operation["responses"]["200"]["headers"]
        assert {str(int(status)) for status in MEANINGS} | {"404"} < set(operation["responses"])
        for status, response in operation["responses"].items():
            if status != "200":
                (content,) = response["content"].values()
                assert content == {"schema": {"$ref": "#/components/schemas/InferenceError"}}


def test_headers_that_say_what_to_do_next_are_declared(document):
    said = {
        (path, status): set(response["headers"])
        for path, methods in document["paths"].items()
        for operation in methods.values()
        for status, response in operation["responses"].items()
    }
    later = {key for key, headers in said.items() if "Retry-After" in headers}
    assert later == {key for key in said if key[1] in ("429", "503")}
    assert {path for path, status in later if status == "503"} >= {"/predict", "/readyz", "/v2/health/ready", "/model"}
    challenged = {key for key, headers in said.items() if "WWW-Authenticate" in headers}
    assert challenged == {key for key in said if key[1] in ("401", "403")}
    assert {path for path, _ in challenged} == {
        path
        for path, methods in document["paths"].items()
        if any("security" in operation for operation in methods.values())
    }
    assert {path for path, status in said if status == "304"} == {"/", "/docs", "/model"}


def test_every_media_type_is_declared(client, document):
    bodies = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert set(bodies) == {"multipart/form-data", "application/json", "image/*", URLENCODED, DICOM, *OCTETS}
    text = base64.b64encode(images.GLIOMA).decode()
    sent = {"multipart/form-data": form(images.GLIOMA), URLENCODED: {"image": text}}
    for media_type in set(bodies) - {"application/json"}:
        data = sent.get(media_type, images.GLIOMA)
        response = client.post("/predict", data=data, content_type=media_type.replace("*", "png"))
        assert response.status_code == 200, media_type
