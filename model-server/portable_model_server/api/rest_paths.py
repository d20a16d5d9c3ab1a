"""What a request over REST asks for, read from its method and its URI as TensorFlow Serving reads them.

Source: tensorflow_serving/model_servers/http_rest_api_util.cc and http_rest_api_handler.cc.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

from portable_model_server.errors import ServingError, invalid, shown_name
from serving_api.messages import ModelSpec

# The words of a path may have any case, but for the last one: a method in another case is malformed, and "/Metadata"
# asks for the status.
_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_PATTERNS = {
    "POST": re.compile(rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>classify|regress|predict)", re.I | re.A),
    "GET": re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?:/(?P<part>metadata))?", re.I | re.A),
}
_METHODS = ("classify", "regress", "predict")


@dataclass(frozen=True)
class RestCall:
    """A call under /v1/.

    Attributes:
        spec: The model, and the version or the version label.
        method: ``predict``, ``classify`` or ``regress``; empty for a call that runs no model.
        metadata: Whether such a call asks for the model's metadata instead of its status.
    """

    spec: ModelSpec
    method: str
    metadata: bool


def target(uri: str) -> str:
    """Return the path of a request's URI with its query, which TensorFlow Serving takes for a part of the path.

    Args:
        uri: As it was sent, not decoded, with a character for each byte.
    """
    parts = urlsplit(uri)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def is_call(path: str) -> bool:
    """Whether a path belongs to the API."""
    return path[:4].lower() == "/v1/"


def parse(method: str, path: str) -> RestCall:
    """Read a request's method and its path, as ``target`` returns it.

    Raises:
        ServingError: They are not a call of the API.
    """
    pattern = _PATTERNS.get(method)
    match = pattern.fullmatch(path) if pattern else None
    if not match:
        raise _malformed(method, path)
    parts = match.groupdict()
    spec = ModelSpec(name=_decoded(parts["name"] or ""))
    if parts["version"]:
        spec.version.value = _version(parts["version"])
    elif parts["label"]:
        spec.version_label = _decoded(parts["label"])
    name = parts.get("method", "")
    if name and name not in _METHODS:
        raise _malformed(method, path)
    if not spec.name:
        raise invalid("Missing model name in request.")
    return RestCall(spec, name, parts.get("part") == "metadata")


def _malformed(method: str, path: str) -> ServingError:
    return invalid(f"Malformed request: {method} {shown_name(path)}")


def _decoded(text: str) -> str:
    return unquote_to_bytes(text.encode("latin-1")).decode(errors="replace")


def _version(text: str) -> int:
    number = int(text) if len(text) <= 19 else 2**63
    if number >= 2**63:
        raise invalid(f"Failed to convert version: {shown_name(text)} to numeric.")
    return number
