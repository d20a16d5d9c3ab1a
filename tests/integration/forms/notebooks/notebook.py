"""What a notebook leaves behind: a model, the pixels that it was given, and what its author would write about it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

FOUR = ("glioma", "meningioma", "notumor", "pituitary")
TWO = ("no", "yes")
SIDE = 64  # pixels


def _save(model: Any, path: Path) -> None:
    model.save(path)


def _predict(model: Any, pixels: Any) -> Any:
    return model.predict(pixels, verbose=0)


@dataclass(frozen=True)
class Notebook:
    """One notebook.

    Attributes:
        model: The network.
        pixels: The images after the notebook's own preprocessing, float32 (batch, height, width, channel).
        description: What its author writes into the JSON file beside the model.
        save: Saves the model under a path.
        predict: The class probabilities as the notebook gets them, (batch, class).
        without: The same without what the service is known not to do; none where there is nothing of that kind.
    """

    model: Any
    pixels: np.ndarray
    description: dict[str, Any] = field(default_factory=dict)
    save: Callable[[Any, Path], None] = _save
    predict: Callable[[Any, Any], Any] = _predict
    without: Any = None


def described(way: dict[str, Any], class_names: tuple[str, ...] = FOUR, **fields: Any) -> dict[str, Any]:
    """The description: ``way`` says how the images are prepared, and is one of ``images``' constants."""
    return {"class_names": list(class_names), **way, **fields}
