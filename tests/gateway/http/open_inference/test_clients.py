"""The protocol's own clients against a gateway that runs: tritonclient, and what KServe's client sends."""

import asyncio
import base64
import json
import re
from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

from brain_tumor.processes import ROOT
from tests.brain_tumor import images
from tests.brain_tumor.dicom_files import HEIGHT, WIDTH, encode, scan
from tests.gateway.fake_model_server import fake_model_server, wait_for
from tests.gateway.gateway_process import GatewayProcess, gateway_process
from tests.gateway.http.open_inference.bodies import BLUE, INFER, RED, binary, of_pixels, pixels, prefixed

FILES = np.array([images.GLIOMA, images.NOTUMOR], dtype=object)
TEXTS = np.array([[base64.b64encode(images.GLIOMA)], [base64.b64encode(images.NOTUMOR)]], dtype=object)
PIXELS = pixels(RED, BLUE)
MODEL = "brain-tumor"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory) -> Iterator[GatewayProcess]:
    log = tmp_path_factory.mktemp("gateway") / "log"
    with fake_model_server() as model_server, gateway_process(log, model_server.port) as process:
        wait_for(lambda: process.responds("/readyz"))
        yield process
        assert " ERROR " not in process.log


@pytest.fixture
def client(gateway) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{gateway.port}") as client:
        yield client


def sent(array: np.ndarray, *, binary_data: bool, module=triton):
    is_files = array.dtype == object
    tensor = module.InferInput("image" if is_files else "images", list(array.shape), "BYTES" if is_files else "UINT8")
    tensor.set_data_from_numpy(array, binary_data=binary_data)
    return tensor


def test_triton_asks_what_there_is(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert [client.is_model_ready(MODEL), client.is_model_ready(MODEL, "1")] == [True, True]
    assert [client.is_model_ready("x"), client.is_model_ready(MODEL, "2")] == [False, False]
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    assert client.get_model_metadata(MODEL) == client.get_model_metadata(MODEL, "1")
    assert [tensor["name"] for tensor in client.get_model_metadata(MODEL)["inputs"]] == ["image", "images"]


@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize(
    ("array", "binary_in"), [(FILES, True), (TEXTS, True), (TEXTS, False), (PIXELS, True), (PIXELS, False)]
)
def test_triton_infers(client, array, binary_in, binary_out):
    wanted = [triton.InferRequestedOutput(name, binary_out) for name in ("probabilities", "class")]
    result = client.infer(
        MODEL, [sent(array, binary_data=binary_in)], model_version="1", outputs=wanted, request_id="an-id"
    )
    names = [name.decode() if binary_out else name for name in result.as_numpy("class")]
    assert names == ["glioma", "notumor"]
    assert result.as_numpy("probabilities").dtype == np.float32
    assert result.as_numpy("probabilities").argmax(axis=1).tolist() == [0, 2]
    assert result.as_numpy("out_of_distribution") is None
    response = result.get_response()
    assert (response["id"], response["model_name"], response["model_version"]) == ("an-id", MODEL, "1")


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_triton_compresses(client, coding):
    result = client.infer(
        MODEL,
        [sent(PIXELS, binary_data=True)],
        request_compression_algorithm=coding,
        response_compression_algorithm=coding,
    )
    assert result.as_numpy("class").tolist() == [b"glioma", b"notumor"]
    assert result.as_numpy("out_of_distribution").shape == (2,)


def test_triton_understands_errors(client):
    with pytest.raises(InferenceServerException) as caught:
        client.infer(MODEL, [sent(np.array([images.SVG], dtype=object), binary_data=True)])
    assert caught.value.status() == "415"
    assert caught.value.message().startswith('"image"[0]: This is an SVG drawing')
    with pytest.raises(InferenceServerException, match='The model is called "brain-tumor"'):
        client.infer("x", [sent(FILES, binary_data=True)])
    with pytest.raises(InferenceServerException, match="There is nothing at this path"):
        client.get_model_config(MODEL)


def test_triton_asks_for_a_frame(client):
    frames = np.stack([np.full((HEIGHT, WIDTH, 3), colour, np.uint8) for colour in (RED, BLUE, RED)])
    file = np.array([encode(scan(frames))], dtype=object)
    result = client.infer(MODEL, [sent(file, binary_data=True)], parameters={"frame": 2})
    assert result.as_numpy("class").tolist() == [b"notumor"]
    (dicom,) = json.loads(result.get_response()["parameters"]["dicom"])
    assert (dicom["frame"], dicom["frames"]) == (2, 3)


def test_triton_on_asyncio(gateway):
    async def infer() -> list[bytes]:
        async with triton_aio.InferenceServerClient(f"127.0.0.1:{gateway.port}") as client:
            assert await client.is_model_ready(MODEL)
            result = await client.infer(MODEL, [sent(FILES, binary_data=True, module=triton_aio)])
            return result.as_numpy("class").tolist()

    assert asyncio.run(infer()) == [b"glioma", b"notumor"]


def test_the_example_in_the_documents(gateway, capsys):
    examples = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/open-inference.md").read_text(), re.M | re.S)
    (example,) = [example for example in examples if "tritonclient" in example]
    example = example.replace("127.0.0.1:9696", f"127.0.0.1:{gateway.port}").replace("examples/", f"{ROOT}/examples/")
    exec(compile(example, "open-inference.md", "exec"), {})
    assert len(re.findall(r"\[b'\w+'", capsys.readouterr().out)) == 2


def kserve(inputs: list[object], behind: bytes = b"", **more: object) -> tuple[bytes, dict[str, str]]:
    """A request as KServe 0.21's InferenceRESTClient sends it: names in lower case, orjson without spaces."""
    document = {"id": "da72fbc8-3b03-422e-9bb0-43e8a6839c5f", "model_name": MODEL, "inputs": inputs, **more}
    text = json.dumps(document, separators=(",", ":")).encode()
    headers = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "python-httpx/0.28.1"}
    if not behind:
        return text, headers | {"content-type": "application/json"}
    octets = {"inference-header-content-length": str(len(text)), "content-type": "application/octet-stream"}
    return text + behind, headers | octets


KSERVE = {
    "files": kserve([binary(prefixed(*FILES), [2])], prefixed(*FILES)),
    "texts": kserve([{"name": "image", "shape": [2, 1], "datatype": "BYTES", "data": TEXTS.astype(str).tolist()}]),
    "pixels": kserve([binary(PIXELS.tobytes(), list(PIXELS.shape), "images", "UINT8")], PIXELS.tobytes()),
    "nested": kserve([of_pixels(PIXELS, PIXELS.tolist())]),
    "flat": kserve([of_pixels(PIXELS, PIXELS.ravel().tolist())]),
    "outputs": kserve(
        [of_pixels(PIXELS, PIXELS.tolist())],
        outputs=[{"name": "class", "parameters": {"binary_data": False}}],
        parameters={"binary_data_output": True},
    ),
}


@pytest.mark.parametrize("name", KSERVE)
def test_kserve_infers(gateway, name):
    body, headers = KSERVE[name]
    status, _, response = gateway.request("POST", INFER, body, headers)
    assert status == 200, response
    document = json.loads(response)
    assert document["id"] == "da72fbc8-3b03-422e-9bb0-43e8a6839c5f"
    assert {output["name"]: output["data"] for output in document["outputs"]}["class"] == ["glioma", "notumor"]


def test_kserve_asks_whether_it_is_ready(gateway):
    for path, key in (
        ("/v2/health/live", "live"),
        ("/v2/health/ready", "ready"),
        ("/v2/models/brain-tumor/ready", "ready"),
    ):
        status, _, response = gateway.request("GET", path, headers={"Accept": "*/*"})
        assert (status, json.loads(response)[key]) == (200, True)
