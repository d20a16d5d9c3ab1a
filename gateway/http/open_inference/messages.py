"""The protocol's JSON as types: they check what clients send, and describe it to the readers of the API.

What may be long, or nested, stays JSON text (``Raw``) until its length is known to be harmless: as objects of Python,
twenty megabytes of "[],[],[]" would be hundreds.
"""

from typing import Annotated, Any, TypeAlias

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from gateway.http.options import MEANINGS, JsonPage

BYTES, UINT8, FP32, BOOL = "BYTES", "UINT8", "FP32", "BOOL"
MAX_ID = 256  # characters of a request's id, which the response repeats

_Shape: TypeAlias = Annotated[
    Raw, Meta(description="One number for each dimension.", extra_json_schema={"type": "array"})
]
_Data: TypeAlias = Annotated[
    Raw, Meta(description="The elements in row-major order, nested or not.", extra_json_schema={"type": "array"})
]


class PageParameters(Struct):
    """Which image of its file counts; the same for all files of a request."""

    page: Annotated[JsonPage, Meta(description=MEANINGS["page"])] = None
    frame: Annotated[JsonPage, Meta(description=MEANINGS["frame"])] = None


class InputParameters(PageParameters):
    """Parameters of an input; others have no effect."""

    binary_data_size: Annotated[int, Meta(ge=0, description="Bytes of this tensor behind the JSON.")] | None = None
    shared_memory_region: Annotated[str, Meta(description="Not supported.")] | None = None


class RequestInput(Struct):
    """An input tensor."""

    name: str
    shape: _Shape
    datatype: str
    parameters: InputParameters | None = None
    data: _Data | UnsetType = UNSET


class OutputParameters(Struct):
    """Parameters of an output that is asked for; others have no effect."""

    binary_data: Annotated[bool, Meta(description="Whether to send it behind the JSON.")] | None = None
    classification: Annotated[int, Meta(description="Not supported.")] | None = None
    shared_memory_region: Annotated[str, Meta(description="Not supported.")] | None = None


class RequestOutput(Struct):
    """An output that is asked for."""

    name: str
    parameters: OutputParameters | None = None


class RequestParameters(PageParameters):
    """Parameters of a request; others have no effect."""

    binary_data_output: Annotated[bool, Meta(description="Whether outputs come behind the JSON by default.")] = False


class InferenceRequest(Struct):
    """What is asked of ``infer``. It has one input: a model of images takes no more."""

    inputs: tuple[RequestInput]
    id: Annotated[str, Meta(max_length=MAX_ID)] | None = None
    parameters: RequestParameters | None = None
    outputs: Annotated[Raw, Meta(extra_json_schema={"type": "array"})] | UnsetType = UNSET


class ResponseOutput(Struct, omit_defaults=True):
    """An output tensor: its elements in row-major order, or their size behind the JSON."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | UnsetType = UNSET
    parameters: dict[str, int] | UnsetType = UNSET


class InferenceResponse(Struct, omit_defaults=True):
    """What ``infer`` responds."""

    model_name: str
    model_version: str
    outputs: list[ResponseOutput]
    parameters: dict[str, str]
    id: str | UnsetType = UNSET


class Tensor(Struct):
    """A tensor that a model takes or gives; -1 stands for any size."""

    name: str
    datatype: str
    shape: list[int]


class ModelDescription(Struct):
    """The metadata of a model. The properties are texts, as in the protocol over gRPC."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    properties: dict[str, str]


class ServerDescription(Struct):
    """The metadata of the server."""

    name: str
    version: str
    extensions: list[str]


class ServerLiveness(Struct):
    """The process runs."""

    live: bool


class ServerReadiness(Struct):
    """Requests are taken."""

    ready: bool


class ModelReadiness(Struct):
    """The model responds."""

    name: str
    ready: bool
