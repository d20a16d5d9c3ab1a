"""What POST /predict declares: the ways in which an image can come, the options and the responses."""

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gateway.edge.lanes import Lane
from gateway.http import choice
from gateway.http.documents import Base64, Prediction, Predictions
from gateway.http.errors import error_replies
from gateway.http.operations import PROBLEM, Content, Operation, Reply
from gateway.http.options import JSON_TYPES, PARAMETERS
from gateway.images.from_request import DICOM, OCTETS, URLENCODED
from gateway.keys import PREDICT

_DESCRIPTION = """\
The image comes in a form, in JSON, or as the body itself. Its format is found by its bytes, whatever the media type
says. A request with a list gets a list, in the same order, in which each image has a prediction or a problem of its
own.
"""
_FILE = {"type": "string", "format": "binary"}
# Of a form without files: base64 or URLs. Empty ones have no effect, so their count says nothing.
_TEXTS = {"type": "array", "items": {"type": "string"}}
_OPTIONS = {parameter.name: msgspec.json.schema(parameter.type) for parameter in PARAMETERS}
_Url = Annotated[str, Meta(min_length=1, description="http, https, or a data URI.")]
_JSON_REQUESTS: tuple[tuple[str, str, Any], ...] = (
    ("ImageRequest", "image", Base64),
    ("UrlRequest", "url", _Url),
    ("ImagesRequest", "images", Base64),
    ("UrlsRequest", "urls", _Url),
)


def predict_operation(max_images: int) -> Operation:
    """Make the declaration.

    Args:
        max_images: Largest count of images in one request.
    """
    files = {"type": "array", "items": _FILE, "minItems": 1, "maxItems": max_images}
    return Operation(
        "Classify images",
        "Predictions",
        {
            HTTPStatus.OK: Reply("The prediction, or a list of them.", (Content(Prediction), Content(Predictions))),
            **error_replies(),
            HTTPStatus.NOT_FOUND: Reply(f"The version that {choice.MODEL_VERSION} asks for is not served.", (PROBLEM,)),
        },
        _DESCRIPTION,
        (*PARAMETERS, *choice.PARAMETERS),
        (
            Content({**_form("ImageForm", image=files), "required": ["image"]}, "multipart/form-data"),
            *(Content(_json_request(*kind, max_images)) for kind in _JSON_REQUESTS),
            Content(_form("TextForm", image=_TEXTS, url=_TEXTS), URLENCODED),
            Content(_FILE, "image/*"),
            *(Content(_FILE, media_type) for media_type in (DICOM, *OCTETS)),
        ),
        Lane.WORK,
        PREDICT,
    )


def _form(name: str, **fields: Any) -> dict[str, Any]:
    """A form with these fields and the options."""
    return {"title": name, "type": "object", "properties": {**fields, **_OPTIONS}}


def _json_request(name: str, key: str, text: Any, max_images: int) -> type[msgspec.Struct]:
    """A body of JSON with this key: as a text, in a list, or as TensorFlow Serving's clients write it."""
    several = Annotated[
        list[Any],  # an entry that is no image has a problem of its own
        Meta(
            min_length=1,
            max_length=max_images,
            description="Each as if it were alone.",
            extra_json_schema={"items": {}},  # some generators of clients miss it
        ),
    ]
    wrapped = Annotated[dict[str, Any], Meta(description='{"b64": "..."} or {"url": "..."}')]
    options = [(option, kind | msgspec.UnsetType, msgspec.UNSET) for option, kind in JSON_TYPES.items()]
    return msgspec.defstruct(name, [(key, text | several | wrapped), *options], forbid_unknown_fields=True)
