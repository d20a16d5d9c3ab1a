"""What the service says about an image, and about its model, with types."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from brain_tumor_client.errors import NotTheService

_FLOAT32 = "float32"
_IMAGES = ("explanation", "view")  # keys of a response that hold an object with a base64 PNG


@dataclass(frozen=True)
class OutOfDistribution:
    """How unlike the training images an image is: the larger the score, the less alike.

    Attributes:
        score: The service's score.
        flag: Whether the image is so unlike them that its class means little; None if the model cannot say.
    """

    score: float
    flag: bool | None


@dataclass(frozen=True)
class Explanation:
    """The activation map of a class over the image, as a PNG file."""

    class_name: str
    png: bytes


@dataclass(frozen=True)
class Window:
    """How the values of a DICOM file became grey levels; center and width are in units after the rescale.

    Attributes:
        source: ``file``, ``percentiles`` or ``lut``.
        function: ``LINEAR``, ``LINEAR_EXACT`` or ``SIGMOID``; None where there is none.
    """

    source: str
    center: float | None
    width: float | None
    function: str | None


@dataclass(frozen=True)
class Dicom:
    """What was read of a DICOM file: its modality, which frame (from 1) of how many, and the window (None: colour)."""

    modality: str | None
    frame: int
    frames: int
    window: Window | None


@dataclass(frozen=True)
class Prediction:
    """The response for one image.

    Attributes:
        class_name: The class with the largest probability.
        probabilities: For each class, in the order of the model's outputs.
        warnings: Sentences for people, for example that a DICOM file shows no head.
        dicom: For DICOM files alone.
        page: Which page of a TIFF this is.
        pages: How many pages a TIFF has; 1 for all other files.
        explanation: If it was asked for.
        view: The image as the model saw it, as a PNG file, if it was asked for.
        precision: What the model computed with: float32, or int8; older services do not say it, and compute in float32.
        document: The whole response without its images in base64.
    """

    class_name: str
    probabilities: Mapping[str, float]
    out_of_distribution: OutOfDistribution
    model_name: str
    model_version: int
    notice: str
    request_id: str
    warnings: tuple[str, ...] = ()
    dicom: Dicom | None = None
    page: int = 1
    pages: int = 1
    explanation: Explanation | None = None
    view: bytes | None = None
    precision: str = _FLOAT32
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def confidence(self) -> float:
        """The largest class probability."""
        return max(self.probabilities.values())


@dataclass(frozen=True)
class Model:
    """Which model is served.

    Attributes:
        notice: What every reader of a prediction must know.
        service_version: The version of the gateway.
    """

    name: str
    version: int
    notice: str
    service_version: str


def prediction_of(document: Any) -> Prediction:
    """Read the response for one image.

    Raises:
        NotTheService: It lacks something, or is of another type.
    """
    try:
        return _prediction(document)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
        raise NotTheService(
            "The response is not one of this service. Check the URL, and that client and service belong together."
        ) from None


def _prediction(document: Any) -> Prediction:
    ood, model = document["out_of_distribution"], document["model"]
    explanation, view, dicom = document.get("explanation"), document.get("view"), document.get("dicom")
    probabilities = {str(name): float(value) for name, value in document["probabilities"].items()}
    if document["class"] not in probabilities:
        raise ValueError("a class without probability")
    return Prediction(
        class_name=document["class"],
        probabilities=probabilities,
        out_of_distribution=OutOfDistribution(float(ood["score"]), None if ood["flag"] is None else bool(ood["flag"])),
        model_name=str(model["name"]),
        model_version=int(model["version"]),
        notice=str(document["notice"]),
        request_id=str(document["request_id"]),
        warnings=tuple(map(str, document.get("warnings", ()))),
        dicom=_dicom(dicom) if dicom else None,
        page=int(document.get("page", 1)),
        pages=int(document.get("pages", 1)),
        explanation=Explanation(str(explanation["class"]), _png(explanation)) if explanation else None,
        view=_png(view) if view else None,
        precision=str(model.get("precision", _FLOAT32)),
        document={
            key: {name: part for name, part in value.items() if name != "png"} if key in _IMAGES else value
            for key, value in document.items()
        },
    )


def _dicom(document: Any) -> Dicom:
    window = document["window"]
    return Dicom(
        document["modality"],
        int(document["frame"]),
        int(document["frames"]),
        Window(window["source"], window["center"], window["width"], window["function"]) if window else None,
    )


def _png(document: Any) -> bytes:
    return base64.b64decode(document["png"], validate=True)
