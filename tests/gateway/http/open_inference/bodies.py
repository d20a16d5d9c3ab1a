"""Inference requests, and how tests send them."""

import base64
import json
import math
import struct

import numpy as np
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.gateway.fake_model_server import SMALL

INFER = "/v2/models/brain-tumor/infer"
LENGTH = "Inference-Header-Content-Length"
RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def tensor(data: object, shape: list[object], name: str = "image", datatype: str = "BYTES", **more: object):
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **more}


def files(*data: bytes) -> dict[str, object]:
    """An input of image files as JSON."""
    return tensor([base64_of(file) for file in data], [len(data)])


def pixels(*colours: tuple[int, int, int]) -> np.ndarray:
    """Images of one colour each, of the fake model's size."""
    return np.array([np.full((SMALL.height, SMALL.width, 3), colour, np.uint8) for colour in colours])


def of_pixels(array: np.ndarray, data: object) -> dict[str, object]:
    return tensor(data, list(array.shape), "images", "UINT8")


def prefixed(*elements: bytes) -> bytes:
    """Elements of BYTES as binary data."""
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def binary(behind: bytes, shape: list[int], name: str = "image", datatype: str = "BYTES") -> dict[str, object]:
    """An input whose data stand behind the JSON."""
    parameters = {"binary_data_size": len(behind)}
    return {"name": name, "shape": shape, "datatype": datatype, "parameters": parameters}


def infer(client: FlaskClient, sent: object, path: str = INFER, **more: object) -> TestResponse:
    """Send one input as JSON."""
    return client.post(path, json={"inputs": [sent], **more})


def infer_binary(client: FlaskClient, sent: object, behind: bytes, **more: object) -> TestResponse:
    """Send one input whose data stand behind the JSON."""
    text = json.dumps({"inputs": [sent], **more}).encode()
    return client.post(INFER, data=text + behind, headers={LENGTH: str(len(text))})


def check_error(response: TestResponse, status: int) -> str:
    """Check that a response has the protocol's form of an error; return its text."""
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.content_type == "application/json"
    document = response.get_json()
    assert set(document) == {"error", "request_id"}
    assert document["request_id"] == response.headers["X-Request-ID"]
    assert document["error"].endswith((".", "]}."))
    return document["error"]


def outputs(response: TestResponse) -> dict[str, object]:
    """The outputs of a response by name, as nested lists; checks that data and shapes agree, and nothing is left."""
    assert response.status_code == 200, response.get_data(as_text=True)
    body = response.get_data()
    end = int(response.headers.get(LENGTH, len(body)))
    assert response.content_type == ("application/octet-stream" if LENGTH in response.headers else "application/json")
    found = {}
    for output in json.loads(body[:end])["outputs"]:
        count = math.prod(output["shape"])
        if "parameters" in output:
            size = output["parameters"]["binary_data_size"]
            data, end = _elements(body[end : end + size], output["datatype"]), end + size
        else:
            data = output["data"]
        assert len(data) == count
        found[output["name"]] = np.array(data).reshape(output["shape"]).tolist()
    assert end == len(body)
    return found


def _elements(data: bytes, datatype: str) -> list[object]:
    if datatype != "BYTES":
        return np.frombuffer(data, {"FP32": "<f4", "BOOL": "?"}[datatype]).tolist()
    elements = []
    while data:
        size = int.from_bytes(data[:4], "little")
        elements.append(data[4 : 4 + size].decode())
        data = data[4 + size :]
    return elements
