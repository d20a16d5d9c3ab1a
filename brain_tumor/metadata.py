"""The metadata of a model: its class names, image size, calibration and provenance, as JSON.

Training writes it beside the .keras file. The converter completes it and puts it into the SavedModel. The gateway
reads it from the model server.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from brain_tumor import reference
from brain_tumor.contract import PHANTOM_NOTICE, RESEARCH_NOTICE
from brain_tumor.reference import Histogram

# What cv2.resize, tf.image.resize and image_dataset_from_directory do by default. The other filters are Pillow's, which
# antialias when they shrink an image.
NO_ANTIALIAS = "bilinear-no-antialias"
RESAMPLINGS = ("bilinear", "nearest", "bicubic", "lanczos", "box", "hamming", NO_ANTIALIAS)
# What the three channels of an image hold. Grey: three times the same, as many models take it that know one channel.
RGB, GRAYSCALE, BGR = COLOR_MODES = ("rgb", "grayscale", "bgr")
# The energy of the logits (Liu et al. 2020, https://arxiv.org/abs/2010.03759), or, for a model that gives probabilities
# alone, the negative logarithm of the highest (Hendrycks and Gimpel 2017, https://arxiv.org/abs/1610.02136).
ENERGY, MAX_PROBABILITY = OOD_SCORES = ("energy", "max-probability")
# What a Keras model expects of pixels 0..255 before its first layer; keras.applications' names.
SCALINGS = ("none", "unit", "tf", "torch", "caffe")
# The numbers that a model computes with: all in float32, or most layers in int8 (the converter's --int8).
FLOAT32, INT8 = PRECISIONS = ("float32", "int8")
PHANTOM = "phantom"
_MAX_SIDE = 4096
_OPTIONAL = (
    "scaling",
    "temperature",
    "explains",
    "name",
    "precision",
    "recommended_precision",
    "training",
    "metrics",
    "versions",
    "documentation",
)  # top-level fields


class MetadataError(ValueError):
    """Metadata that cannot be used. The message names the field."""


@dataclass(frozen=True)
class ImageSpec:
    """The images that a model takes: what ``brain_tumor.preprocess`` makes of every image before the model sees it.

    Attributes:
        height: Height in pixels.
        width: Width in pixels.
        resampling: The filter that resizes an image to that size, one of ``RESAMPLINGS``.
        color_mode: What the three channels hold, one of ``COLOR_MODES``.
        crop_to_head: Whether an image is cropped to the head's contour first.
        pad_to_aspect_ratio: Whether an image is padded with black to the aspect ratio of that size; otherwise it is
            distorted.

    Raises:
        MetadataError: A field is out of range.
    """

    height: int
    width: int
    resampling: str = "bilinear"
    color_mode: str = RGB
    crop_to_head: bool = False
    pad_to_aspect_ratio: bool = False

    def __post_init__(self) -> None:
        for side in ("height", "width"):
            value = getattr(self, side)
            _require(_is_integer(value) and 1 <= value <= _MAX_SIDE, f"image.{side} must be 1 to {_MAX_SIDE} pixels")
        _require(self.resampling in RESAMPLINGS, f"image.resampling must be one of {', '.join(RESAMPLINGS)}")
        _require(self.color_mode in COLOR_MODES, f"image.color_mode must be one of {', '.join(COLOR_MODES)}")
        for step in ("crop_to_head", "pad_to_aspect_ratio"):
            _require(isinstance(getattr(self, step), bool), f"image.{step} must be true or false")


@dataclass(frozen=True)
class ModelMetadata:
    """The metadata of one model. The constructor checks every field that other code relies on.

    Attributes:
        class_names: Class names in the order of the model's outputs; at least two, all different.
        image: The images that the model takes, and how they are prepared.
        scaling: The scaling of pixels that the Keras model expects, one of ``SCALINGS``. The SavedModel contains it.
        temperature: Divides the logits before the softmax (Guo et al. 2017, https://arxiv.org/abs/1706.04599).
        out_of_distribution_threshold: An image with a higher OOD score is flagged. None flags no image.
        out_of_distribution_score: How the score is computed, one of ``OOD_SCORES``: the energy of the logits, or the
            negative logarithm of the highest probability (Hendrycks and Gimpel 2017,
            https://arxiv.org/abs/1610.02136) for a model that gives probabilities alone.
        explains: Whether the SavedModel offers class activation maps.
        name: The model's name; empty until the converter sets it.
        precision: What this form of the model computes with, one of ``PRECISIONS``. Each form has metadata of its own.
        recommended_precision: Which form a model server serves that has a choice, one of ``PRECISIONS``.
        training: How the model was trained, a JSON object that is kept unchanged.
        metrics: The model's measured quality, a JSON object that is kept unchanged.
        versions: The software that made the model, a JSON object that is kept unchanged.
        documentation: What a reader must know before use (intended use, data, limits, items of a checklist), a JSON
            object that is kept unchanged.
        reference: How images and predictions were spread at the model's own validation: a histogram for each of
            ``brain_tumor.reference.FEATURES``, for some, or for none. With them the gateway measures drift.

    Raises:
        MetadataError: A field is missing or out of range.
    """

    class_names: tuple[str, ...]
    image: ImageSpec
    scaling: str = "none"
    temperature: float = 1.0
    out_of_distribution_threshold: float | None = None
    out_of_distribution_score: str = ENERGY
    explains: bool = False
    name: str = ""
    precision: str = FLOAT32
    recommended_precision: str = FLOAT32
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)
    documentation: Mapping[str, Any] = field(default_factory=dict)
    reference: Mapping[str, Histogram] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = self.class_names
        _require(
            len(names) >= 2 and all(isinstance(name, str) and name for name in names) and len(set(names)) == len(names),
            "class_names must be two or more different, non-empty strings",
        )
        _require(self.scaling in SCALINGS, f"scaling must be one of {', '.join(SCALINGS)}")
        _require(_is_finite(self.temperature) and self.temperature > 0, "temperature must be a number above 0")
        threshold = self.out_of_distribution_threshold
        _require(
            threshold is None or _is_finite(threshold), "out_of_distribution.threshold must be a finite number or null"
        )
        _require(
            self.out_of_distribution_score in OOD_SCORES,
            f"out_of_distribution.score must be one of {', '.join(OOD_SCORES)}",
        )
        _require(isinstance(self.explains, bool), "explains must be true or false")
        _require(isinstance(self.name, str), "name must be a string")
        for part in ("precision", "recommended_precision"):
            _require(getattr(self, part) in PRECISIONS, f"{part} must be one of {', '.join(PRECISIONS)}")
        for part in ("training", "metrics", "versions", "documentation"):
            _require(isinstance(getattr(self, part), Mapping), f"{part} must be an object")
        predicted = self.reference.get(reference.CLASSES)
        _require(
            predicted is None or predicted.edges == tuple(range(len(names) - 1)),
            f"reference: classes needs a bin for each class: edges 0 to {len(names) - 2}",
        )

    @property
    def notice(self) -> str:
        """The notice that every response with this model's predictions must carry."""
        return f"{RESEARCH_NOTICE} {PHANTOM_NOTICE}" if self.training.get("data") == PHANTOM else RESEARCH_NOTICE

    def to_json(self) -> str:
        """The metadata as JSON text: indented, and the same text for the same metadata."""
        document = {
            "name": self.name,
            "notice": self.notice,
            "class_names": list(self.class_names),
            "image": asdict(self.image),
            "scaling": self.scaling,
            "temperature": self.temperature,
            "out_of_distribution": {
                "score": self.out_of_distribution_score,
                "threshold": self.out_of_distribution_threshold,
            },
            "explains": self.explains,
            "precision": self.precision,
            "recommended_precision": self.recommended_precision,
            "training": dict(self.training),
            "metrics": dict(self.metrics),
            "versions": dict(self.versions),
            "documentation": dict(self.documentation),
        }
        if self.reference:
            document["reference"] = reference.to_document(self.reference)
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, height: int | None = None, width: int | None = None) -> "ModelMetadata":
        """Read metadata from JSON text.

        Unknown fields are ignored, so that older code can read newer metadata.

        Args:
            text: The JSON text.
            height: Used if the text gives no height, as in a file written by hand; in pixels.
            width: Used if the text gives no width; in pixels.

        Raises:
            MetadataError: The text is not JSON, or a field is missing or out of range.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise MetadataError(f"not valid JSON: {error}") from None
        _require(isinstance(document, dict), "model metadata must be a JSON object")
        _require(isinstance(document.get("class_names"), list), "class_names must be a list of strings")
        image, out_of_distribution = _object(document, "image"), _object(document, "out_of_distribution")
        try:
            histograms = reference.from_document(document.get("reference", {}))
        except ValueError as error:
            raise MetadataError(f"reference: {error}") from None
        size: dict[str, Any] = {"height": height, "width": width}  # the constructor finds a side that is still None
        return cls(
            class_names=tuple(document["class_names"]),
            image=ImageSpec(**size | {part.name: image[part.name] for part in fields(ImageSpec) if part.name in image}),
            out_of_distribution_threshold=out_of_distribution.get("threshold"),
            out_of_distribution_score=out_of_distribution.get("score", OOD_SCORES[0]),
            reference=histograms,
            **{name: document[name] for name in _OPTIONAL if name in document},
        )


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise MetadataError(message)


def _object(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key, {})
    _require(isinstance(value, dict), f"{key} must be an object")
    return value


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer beyond what a float holds
        return False
