"""Encoded images to classifications: preprocess, predict, and again if the model changed meanwhile."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from brain_tumor.calls import images_of_a_call
from brain_tumor.image import FileFacts, ImageError, Wanted
from brain_tumor.preprocess import Prepared, Preprocessor
from brain_tumor.reference import brightness
from gateway.classify.changes import with_newest
from gateway.classify.overlay import MAX_SIDE, draw_overlay, encode
from gateway.deadline import Deadline
from gateway.metrics import Metrics
from gateway.metrics.predictions import Observed
from gateway.model.client import ModelClient
from gateway.model.responses import Prediction, ServedModel
from tracing.spans import span


class EmptyImage(ImageError):
    """No bytes at all."""


class CannotExplain(Exception):
    """The model offers no activation maps."""


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
    """

    model: ServedModel
    probabilities: NDArray[np.float32]
    out_of_distribution: float
    overlay: bytes | None
    facts: FileFacts = field(default_factory=FileFacts)
    view: bytes | None = None

    @property
    def class_index(self) -> int:
        """The index of the most probable class."""
        return int(self.probabilities.argmax())


def observe(metrics: Metrics, classification: Classification, pixels: NDArray[np.uint8], size: int | None) -> None:
    """Count a classification.

    Args:
        metrics: Where.
        classification: The classification.
        pixels: The image as the model takes it, uint8 (height, width, 3).
        size: Pixels of the image's longer side, as sent; None if the client has prepared it.
    """
    index, model = classification.class_index, classification.model
    confidence = float(classification.probabilities[index])
    observed = Observed(index, confidence, classification.out_of_distribution, brightness(pixels), size)
    metrics.predictions.observe(model.version, model.metadata, observed)


Outcome: TypeAlias = Classification | ImageError  # of one image: an error says what is wrong with it


class Classifier:
    """Classifies encoded images; safe to share between threads.

    Args:
        model_client: Calls the model server.
        metrics: Takes the times of the stages, and what the model says.
        max_pixels: Largest count of pixels in one image in memory.
        decoders: How many images are decoded at a time.
    """

    def __init__(self, model_client: ModelClient, metrics: Metrics, *, max_pixels: int, decoders: int) -> None:
        self._client = model_client
        self._metrics = metrics
        self._max_pixels = max_pixels
        self._decoders = threading.BoundedSemaphore(decoders)
        self._preprocessor: Preprocessor | None = None  # of the newest model; it holds nothing of an image

    def classify(
        self,
        encoded: Sequence[bytes],
        *,
        explain: bool,
        deadline: Deadline,
        page: int | None = None,
        view: bool = False,
    ) -> list[Outcome]:
        """Classify the images of one request; there is one outcome for each image, in order.

        Args:
            encoded: The images, as their files hold them.
            explain: Whether to draw overlays.
            deadline: Ends the work.
            page: Which image of a file with several, or which frame; 1 is the first, None the one that its format shows
                first, of a DICOM file the middle one.
            view: Whether to return the images as the model saw them.

        Raises:
            CannotExplain: Overlays were asked for, and the model offers no activation maps.
            ModelServerProblem: The model server gave no usable response.
            DeadlineExceeded: The deadline passed.
        """
        model = self._client.get(deadline)
        step = images_of_a_call(model.metadata.image)
        outcomes: list[Outcome] = []
        for start in range(0, len(encoded), step):
            attempt = partial(self._classify_batch, encoded[start : start + step], explain, deadline, page, view)
            batch, model = with_newest(model, attempt)
            outcomes += batch
        return outcomes

    def _classify_batch(
        self,
        encoded: Sequence[bytes],
        explain: bool,
        deadline: Deadline,
        page: int | None,
        view: bool,
        model: ServedModel,
    ) -> tuple[list[Outcome], ServedModel]:
        """Classify images in one call; return the model that they were prepared for too."""
        if explain and not model.metadata.explains:
            raise CannotExplain("The model cannot explain its predictions. Ask without explain=true.")
        preprocessor = self._preprocessor_of(model)
        view_side = MAX_SIDE if explain or view else None
        with self._metrics.stage("preprocess"):
            outcomes = [self._preprocess(data, preprocessor, page, view_side, deadline) for data in encoded]
        batches = [outcome.batch for outcome in outcomes if isinstance(outcome, Prepared)]
        if not batches:
            return [outcome for outcome in outcomes if isinstance(outcome, ImageError)], model
        with self._metrics.stage("predict"):
            prediction = self._client.predict(model, batches, explain=explain, deadline=deadline)
        with self._metrics.stage("postprocess"):
            rows = iter(range(len(batches)))
            return [
                outcome if isinstance(outcome, ImageError) else self._postprocess(outcome, prediction, next(rows), view)
                for outcome in outcomes
            ], model

    def _preprocessor_of(self, model: ServedModel) -> Preprocessor:
        preprocessor = self._preprocessor
        if preprocessor is None or preprocessor.spec != model.metadata.image:
            preprocessor = self._preprocessor = Preprocessor(model.metadata.image, self._max_pixels)
        return preprocessor

    def _preprocess(
        self, data: bytes, preprocessor: Preprocessor, page: int | None, view_side: int | None, deadline: Deadline
    ) -> Prepared | ImageError:
        """Decode and prepare one image."""
        try:
            if not data:
                raise EmptyImage("The image is empty. Send the whole file.")
            with self._decoder(deadline):
                wanted = Wanted(deadline.remaining(), deadline.on_cancel)
                return preprocessor.prepare(data, page, view_side=view_side, wanted=wanted)
        except ImageError as error:
            deadline.remaining()  # an image that is not wanted any more is none that is too large or damaged
            return error

    def _postprocess(self, prepared: Prepared, prediction: Prediction, row: int, view: bool) -> Classification:
        """Take one image's row of a prediction, count it, and draw its overlay and its view if they were asked for."""
        probabilities = prediction.probabilities[row]
        overlay = None
        if prediction.activation_maps is not None and prepared.view is not None:
            with span("overlay"):
                overlay = draw_overlay(prepared.view, prediction.activation_maps[row], int(probabilities.argmax()))
        score = float(prediction.out_of_distribution[row])
        seen = encode(prepared.view) if view and prepared.view is not None else None
        classification = Classification(prediction.model, probabilities, score, overlay, prepared.facts, seen)
        observe(self._metrics, classification, prepared.batch[0], prepared.size)
        return classification

    @contextmanager
    def _decoder(self, deadline: Deadline) -> Iterator[None]:
        """Hold one of the permits to decode; wait for it until the deadline passes or the client leaves."""
        deadline.acquire(self._decoders)
        try:
            yield
        finally:
            self._decoders.release()
