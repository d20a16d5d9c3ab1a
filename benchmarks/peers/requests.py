"""What the load generator sends to each kind of server, and where the probabilities stand in its response."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_BOUNDARY = "b8f3c1"


@dataclass(frozen=True)
class Interface:
    """How a server is asked.

    Attributes:
        path: Of the URL; the method is POST.
        encode: From a JPEG's bytes to the media type and the body.
        decode: From the parsed JSON of the response and the class names to a probability for each class.
    """

    path: str
    encode: Callable[[bytes], tuple[str, bytes]]
    decode: Callable[[Any, Sequence[str]], list[float]]


def _form(jpeg: bytes) -> tuple[str, bytes]:
    disposition = 'Content-Disposition: form-data; name="image"; filename="scan.jpg"'
    before = f"--{_BOUNDARY}\r\n{disposition}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
    return f"multipart/form-data; boundary={_BOUNDARY}", before + jpeg + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _protocol_v1(jpeg: bytes) -> tuple[str, bytes]:
    return _json({"instances": [{"image": {"b64": base64.b64encode(jpeg).decode()}}]})


def _protocol_v2(jpeg: bytes) -> tuple[str, bytes]:
    image = {
        "name": "image",
        "shape": [1],
        "datatype": "BYTES",
        "parameters": {"content_type": "base64"},
        "data": [base64.b64encode(jpeg).decode()],
    }
    return _json({"inputs": [image]})


def _json(document: Any) -> tuple[str, bytes]:
    return "application/json", json.dumps(document).encode()


def _named(document: Mapping[str, Any], class_names: Sequence[str]) -> list[float]:
    return [float(document["probabilities"][name]) for name in class_names]


FORM = Interface("/predict", _form, _named)
KSERVE = Interface(
    "/v1/models/classifier:predict", _protocol_v1, lambda document, names: _named(document["predictions"][0], names)
)
MLSERVER = Interface(
    "/v2/models/classifier/infer",
    _protocol_v2,
    lambda document, names: list(map(float, document["outputs"][0]["data"])),
)
