"""What the protocol's routes declare."""

from gateway.edge.lanes import Lane
from gateway.http.error_forms import InferenceError
from gateway.http.open_inference.messages import (
    InferenceRequest,
    InferenceResponse,
    ModelDescription,
    ModelReadiness,
    ServerDescription,
    ServerLiveness,
    ServerReadiness,
)
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
        200: Reply("The outputs; as binary data where that was asked for.", (Content(InferenceResponse), _BINARY)),
        400: Reply("The request, or one of its images, cannot be read.", (_ERROR,)),
        404: _NOT_SERVED,
        503: Reply("Busy, or the model server is away: try again later.", (_ERROR,)),
    },
    "Encoded images as BYTES, or pixels as UINT8, in JSON or as binary data behind it. One image that cannot be used"
    " fails the request.",
    _MODEL,
    (Content(InferenceRequest), _BINARY),
    Lane.WORK,
    PREDICT,
    error=_ERROR,
)
