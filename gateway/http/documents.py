"""Every JSON document that the gateway sends, and those that it takes: fields, types and meanings.

The code that answers fills these types, and ``gateway.http.openapi`` describes them: there is no second list of fields.
"""

from typing import Annotated, Any

import flask
import msgspec
from msgspec import UNSET, Meta, UnsetType

from brain_tumor.image import Dicom

REFERENCE = "#/components/schemas/{name}"  # where OpenAPI has the description of a document
Base64 = Annotated[str, Meta(extra_json_schema={"contentEncoding": "base64"})]
RequestId = Annotated[
    str, Meta(description="Also in the header X-Request-ID and in the service's log: for questions to the operator.")
]
Seconds = Annotated[float, Meta(ge=0)]


class Document(msgspec.Struct, kw_only=True):
    """A JSON object; a field that is UNSET is left out."""


class OutOfDistribution(Document):
    """How unlike the training images an image is."""

    score: Annotated[float, Meta(description="The larger, the less the image resembles the training images.")]
    flag: Annotated[
        bool | None,
        Meta(
            description="Whether the score is above what 99 % of the validation images stay below: then the class means"
            " little. null if the model gives no threshold."
        ),
    ]


class ModelIdentity(Document):
    """A model version, and which form of it computes."""

    name: str
    version: int
    precision: Annotated[
        str,
        Meta(description="float32, or int8 for a form with most layers in 8 bits, which was judged against float32."),
    ]
    label: (
        Annotated[str, Meta(description="stable, or canary for a model on trial beside it; left out without one.")]
        | UnsetType
    ) = UNSET


class Explanation(Document):
    """Where in the image the model saw the class."""

    class_: str = msgspec.field(name="class")
    png: Annotated[Base64, Meta(description="The activation map over the image: a PNG of at most 512 pixels a side.")]


class View(Document):
    """The image as the model saw it: cropped and padded like what it takes, in the size of the explanation's image."""

    png: Annotated[Base64, Meta(description="A PNG of at most 512 pixels a side.")]


class Prediction(Document):
    """The prediction for one image."""

    class_: Annotated[str, Meta(description="The most probable class.")] = msgspec.field(name="class")
    probabilities: Annotated[
        dict[str, Annotated[float, Meta(ge=0, le=1)]],
        Meta(description="A probability for each class, in the order of the model's outputs."),
    ]
    out_of_distribution: OutOfDistribution
    model: ModelIdentity
    notice: Annotated[str, Meta(description="What every reader of a prediction must know.")]
    request_id: RequestId
    warnings: Annotated[list[str], Meta(description="What people should know of the image; mostly nothing.")]
    dicom: Annotated[Dicom, Meta(description="What a DICOM file says of the image.")] | UnsetType = UNSET
    page: Annotated[int, Meta(ge=1, description="Which page of a TIFF with several.")] | UnsetType = UNSET
    pages: Annotated[int, Meta(ge=2, description="How many pages a TIFF with several has.")] | UnsetType = UNSET
    explanation: Explanation | UnsetType = UNSET
    view: View | UnsetType = UNSET


class ProblemDetails(Document):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: Annotated[str, Meta(description="What the client can do about it.")]
    request_id: RequestId


def _one_of(*documents: type[Document]) -> Any:
    """A value that is one of several documents; msgspec describes no such union."""
    references = [{"$ref": REFERENCE.format(name=document.__name__)} for document in documents]
    return Annotated[Any, Meta(extra_json_schema={"oneOf": references})]


class Predictions(Document):
    """An entry for each image of a request that holds a list, in the order of the images."""

    predictions: list[_one_of(Prediction, ProblemDetails)]  # type: ignore[valid-type]


class Service(Document):
    """What this is."""

    name: str
    version: str
    model: Annotated[ModelIdentity | None, Meta(description="null until the model server has responded once.")]
    notice: str
    links: dict[str, str]


class Liveness(Document):
    """The process runs."""

    status: str


class ModelState(Document):
    """Whether the model server responds."""

    state: Annotated[str, Meta(description="available or error")]
    name: str | UnsetType = UNSET
    version: int | UnsetType = UNSET
    code: Annotated[str, Meta(description="Of the error.")] | UnsetType = UNSET


class Readiness(Document):
    """Whether the gateway takes requests, and what it knows of its model."""

    status: str
    model: ModelState


def respond(document: msgspec.Struct | dict[str, Any], status: int = 200, **headers: str) -> flask.Response:
    """A response that holds a document; underscores in the names of headers stand for hyphens."""
    response = flask.Response(msgspec.json.encode(document), status, content_type="application/json")
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response
