"""What a model says of one image, and how that is counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from brain_tumor.image import FileFacts, ImageError
from gateway.metrics import Metrics
from gateway.metrics.predictions import Observed
from gateway.model.responses import ServedModel


@dataclass(frozen=True)
class Classification:
    """A model's prediction for one image.

    Attributes:
        model: The model that made it.
        probabilities: Shape (class,), float32, in the order of the metadata's class names.
        out_of_distribution: The OOD score; a larger one means an image less like those of the training.
        overlay: A PNG that explains the predicted class; None if it was not asked for.
        facts: What the image's file says of it.
        view: The image as the model saw it, a PNG of the overlay's size; None if it was not asked for.
        brightness: What ``brain_tumor.reference.brightness`` says of the image as the model takes it.
        size: Pixels of the image's longer side, as sent; None if the client has prepared it.
        label: Which model made it, ``stable`` or ``canary``; empty where there is one alone.
    """

    model: ServedModel
    probabilities: NDArray[np.float32]
    out_of_distribution: float
    overlay: bytes | None
    facts: FileFacts = field(default_factory=FileFacts)
    view: bytes | None = None
    brightness: float = 0.0
    size: int | None = None
    label: str = ""

    @property
    def class_index(self) -> int:
        """The index of the most probable class."""
        return int(self.probabilities.argmax())


Outcome: TypeAlias = Classification | ImageError  # of one image: an error says what is wrong with it


def observe(metrics: Metrics, outcomes: Sequence[Outcome], version: str | None = None) -> None:
    """Count the classifications of a request.

    Args:
        metrics: Where.
        outcomes: Of its images.
        version: Which version they are counted for; None is the model's own.
    """
    for outcome in outcomes:
        if isinstance(outcome, Classification):
            index, model = outcome.class_index, outcome.model
            confidence = float(outcome.probabilities[index])
            observed = Observed(index, confidence, outcome.out_of_distribution, outcome.brightness, outcome.size)
            metrics.predictions.observe(version or str(model.version), model.metadata, observed)
