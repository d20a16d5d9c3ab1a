"""The metadata of a model: its class names, image size, calibration and provenance, as JSON.

Training writes it beside the .keras file. The converter completes it and puts it into the SavedModel. The gateway
reads it from the model server.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from brain_tumor.contract import PHANTOM_NOTICE, RESEARCH_NOTICE

RESAMPLINGS = ("bilinear", "nearest", "bicubic", "lanczos", "box", "hamming")  # Pillow's filters
# What a Keras model expects of pixels 0..255 before its first layer; keras.applications' names.
SCALINGS = ("none", "unit", "tf", "torch", "caffe")
PHANTOM = "phantom"
_MAX_SIDE = 4096
_OPTIONAL = (
    "scaling",
    "temperature",
    "explains",
    "name",
    "training",
    "metrics",
    "versions",
    "documentation",
)  # top-level fields


class MetadataError(ValueError):
    """Metadata that cannot be used. The message names the field."""


@dataclass(frozen=True)
class ModelMetadata:
    """The metadata of one model. The constructor checks every field that other code relies on.

    Attributes:
        class_names: Class names in the order of the model's outputs; at least two, all different.
        height: Height of the images that the model takes, in pixels.
        width: Width of the images that the model takes, in pixels.
        resampling: The filter that resizes an image to that size, one of ``RESAMPLINGS``.
        scaling: The scaling of pixels that the Keras model expects, one of ``SCALINGS``. The SavedModel contains it.
        temperature: Divides the logits before the softmax (Guo et al. 2017, https://arxiv.org/abs/1706.04599).
        out_of_distribution_threshold: An image with a higher OOD score is flagged. None flags no image.
        explains: Whether the SavedModel offers class activation maps.
        name: The model's name; empty until the converter sets it.
        training: How the model was trained, a JSON object that is kept unchanged.
        metrics: The model's measured quality, a JSON object that is kept unchanged.
        versions: The software that made the model, a JSON object that is kept unchanged.
        documentation: What a reader must know before use (intended use, data, limits, items of a checklist), a JSON
            object that is kept unchanged.

    Raises:
        MetadataError: A field is missing or out of range.
    """

    class_names: tuple[str, ...]
    height: int
    width: int
    resampling: str = "bilinear"
    scaling: str = "none"
    temperature: float = 1.0
    out_of_distribution_threshold: float | None = None
    explains: bool = False
    name: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)
    documentation: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = self.class_names
        _require(
            len(names) >= 2 and all(isinstance(name, str) and name for name in names) and len(set(names)) == len(names),
            "class_names must be two or more different, non-empty strings",
        )
        for side in ("height", "width"):
            value = getattr(self, side)
            _require(_is_integer(value) and 1 <= value <= _MAX_SIDE, f"image.{side} must be 1 to {_MAX_SIDE} pixels")
        _require(self.resampling in RESAMPLINGS, f"image.resampling must be one of {', '.join(RESAMPLINGS)}")
        _require(self.scaling in SCALINGS, f"scaling must be one of {', '.join(SCALINGS)}")
        _require(_is_finite(self.temperature) and self.temperature > 0, "temperature must be a number above 0")
        threshold = self.out_of_distribution_threshold
        _require(
            threshold is None or _is_finite(threshold), "out_of_distribution.threshold must be a finite number or null"
        )
        _require(isinstance(self.explains, bool), "explains must be true or false")
        _require(isinstance(self.name, str), "name must be a string")
        for part in ("training", "metrics", "versions", "documentation"):
            _require(isinstance(getattr(self, part), Mapping), f"{part} must be an object")

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
            "image": {"height": self.height, "width": self.width, "resampling": self.resampling},
            "scaling": self.scaling,
            "temperature": self.temperature,
            "out_of_distribution": {"score": "energy", "threshold": self.out_of_distribution_threshold},
            "explains": self.explains,
            "training": dict(self.training),
            "metrics": dict(self.metrics),
            "versions": dict(self.versions),
            "documentation": dict(self.documentation),
        }
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
        image = _object(document, "image")
        out_of_distribution = _object(document, "out_of_distribution")
        fields: dict[str, Any] = {"height": height, "width": width}
        fields |= {name: image[name] for name in ("height", "width", "resampling") if name in image}
        fields |= {name: document[name] for name in _OPTIONAL if name in document}
        return cls(
            class_names=tuple(document["class_names"]),
            out_of_distribution_threshold=out_of_distribution.get("threshold"),
            **fields,  # the constructor's checks find a side that is still None
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
