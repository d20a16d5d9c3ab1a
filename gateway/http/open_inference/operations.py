"""What the protocol's routes declare."""

from http import HTTPStatus
from typing import Annotated

from msgspec import Meta

from gateway.edge.lanes import Lane
from gateway.http import choice
from gateway.http.error_forms import InferenceError
from gateway.http.errors import error_replies
from gateway.http.open_inference.messages import (
    InferenceRequest,
    InferenceResponse,
    ModelDescription,
    ModelReadiness,
    ServerDescription,
    ServerLiveness,
    ServerReadiness,
)
from gateway.http.open_inference.request import JSON_LENGTH
from gateway.http.operations import Content, Operation, Parameter, Reply
from gateway.keys import PREDICT

_TAG = "Open Inference Protocol"
_ERROR = Content(InferenceError)
_BINARY = Content({"type": "string", "format": "binary"}, "application/octet-stream")
_MODEL = (
    Parameter("model", "The name of the model.", str, "path"),
    Parameter("version", "A version of it; without one, whichever is served.", str, "path"),
)
_NOT_SERVED = Reply("There is no such model, or no such version.", (_ERROR,))
_NOT_READY = Reply("The model does not respond now.", (_ERROR,))

SERVER = Operation(
    "Server metadata",
    _TAG,
    {200: Reply("Name, version and extensions.", (Content(ServerDescription),))},
    lane=Lane.AT_ONCE,
    error=_ERROR,
)
LIVE = Operation(
    "Server liveness",
    _TAG,
    {200: Reply("The process runs.", (Content(ServerLiveness),))},
    lane=Lane.AT_ONCE,
    error=_ERROR,
    is_quiet=True,
)
READY = Operation(
    "Server readiness",
    _TAG,
    {200: Reply("The model responds.", (Content(ServerReadiness),)), 503: _NOT_READY},
    lane=Lane.READINESS,
    error=_ERROR,
    is_quiet=True,
)
METADATA = Operation(
    "Model metadata",
    _TAG,
    {200: Reply("Inputs, outputs and properties.", (Content(ModelDescription),)), 404: _NOT_SERVED, 503: _NOT_READY},
    parameters=_MODEL,
    lane=Lane.READINESS,
    error=_ERROR,
)
MODEL_READY = Operation(
    "Model readiness",
    _TAG,
    {200: Reply("The model responds.", (Content(ModelReadiness),)), 404: _NOT_SERVED, 503: _NOT_READY},
    parameters=_MODEL,
    lane=Lane.READINESS,
    error=_ERROR,
)
INFER = Operation(
    "Infer",
    _TAG,
    {
        **error_replies(error=_ERROR),
        HTTPStatus.OK: Reply(
            "The outputs; as binary data where that was asked for.",
            (Content(InferenceResponse), _BINARY),
            {JSON_LENGTH: "Bytes of the JSON before the binary data, if there are any."},
        ),
        HTTPStatus.BAD_REQUEST: Reply("The request, or one of its images, cannot be read.", (_ERROR,)),
        HTTPStatus.NOT_FOUND: _NOT_SERVED,
        HTTPStatus.UNPROCESSABLE_ENTITY: Reply("An image that cannot be used, or has no such page.", (_ERROR,)),
    },
    "Encoded images as BYTES, or pixels as UINT8, in JSON or as binary data behind it. One image that cannot be used"
    " fails the request.",
    (
        *_MODEL,
        Parameter(
            JSON_LENGTH,
            "Bytes of the JSON, where binary data follow it.",
            Annotated[int, Meta(ge=0)],
            "header",
        ),
        *choice.PARAMETERS,
    ),
    (Content(InferenceRequest), _BINARY),
    Lane.WORK,
    PREDICT,
    error=_ERROR,
)
