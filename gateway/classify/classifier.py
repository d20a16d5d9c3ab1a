"""Encoded images to classifications: preprocess, predict, and again if the model changed meanwhile."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from brain_tumor.image import ImageError, decode
from brain_tumor.preprocess import Preprocessor
from gateway.classify.overlay import draw_overlay
from gateway.deadline import Deadline
from gateway.metrics import Metrics
from gateway.model.client import ModelChanged, ModelClient
from gateway.model.responses import ModelUnavailable, Prediction, ServedModel

# Images of one call, so that it fits the retry buffer and no call takes much longer than the others.
_BATCH_BYTES = 4 << 20
# A model that changes more often than this within one request is not served by repeating.
_MAX_CHANGES = 4


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
    """

    model: ServedModel
    probabilities: NDArray[np.float32]
    out_of_distribution: float
    overlay: bytes | None

    @property
    def class_index(self) -> int:
        """The index of the most probable class."""
        return int(self.probabilities.argmax())


Outcome: TypeAlias = Classification | ImageError  # of one image: an error says what is wrong with it


class Classifier:
    """Classifies encoded images; safe to share between threads.

    Args:
        model_client: Calls the model server.
        metrics: Takes the times of the stages.
        max_pixels: Largest count of pixels in one image.
        decoders: How many images are decoded at a time.
    """

    def __init__(self, model_client: ModelClient, metrics: Metrics, *, max_pixels: int, decoders: int) -> None:
        self._client = model_client
        self._metrics = metrics
        self._max_pixels = max_pixels
        self._decoders = threading.BoundedSemaphore(decoders)

    def classify(self, encoded: Sequence[bytes], *, explain: bool, deadline: Deadline) -> list[Outcome]:
        """Classify the images of one request; there is one outcome for each image, in order.

        Args:
            encoded: The images, as their files hold them.
            explain: Whether to draw overlays.
            deadline: Ends the work.

        Raises:
            CannotExplain: Overlays were asked for, and the model offers no activation maps.
            ModelServerProblem: The model server gave no usable response.
            DeadlineExceeded: The deadline passed.
        """
        model = self._client.get(deadline)
        step = max(1, _BATCH_BYTES // (model.metadata.image.height * model.metadata.image.width * 3))
        outcomes: list[Outcome] = []
        for start in range(0, len(encoded), step):
            batch, model = self._classify_batch(encoded[start : start + step], model, explain, deadline)
            outcomes += batch
        return outcomes

    def _classify_batch(
        self, encoded: Sequence[bytes], model: ServedModel, explain: bool, deadline: Deadline
    ) -> tuple[list[Outcome], ServedModel]:
        """Classify images in one call; return the model that they were prepared for too, which may be a newer one."""
        for _ in range(_MAX_CHANGES):
            if explain and not model.metadata.explains:
                raise CannotExplain("The model cannot explain its predictions. Ask without explain=true.")
            preprocessor = Preprocessor(model.metadata.image, self._max_pixels)
            with self._metrics.stage("preprocess"):
                prepared = [self._preprocess(data, preprocessor, deadline) for data in encoded]
            images = [image for image in prepared if not isinstance(image, ImageError)]
            if not images:
                return [image for image in prepared if isinstance(image, ImageError)], model
            try:
                with self._metrics.stage("predict"):
                    prediction = self._client.predict(model, np.concatenate(images), explain=explain, deadline=deadline)
            except ModelChanged as change:
                model = change.model
                continue
            with self._metrics.stage("postprocess"):
                rows = iter(range(len(images)))
                return [
                    image
                    if isinstance(image, ImageError)
                    else self._postprocess(data, preprocessor, prediction, next(rows), deadline)
                    for data, image in zip(encoded, prepared, strict=True)
                ], model
        raise ModelUnavailable("MODEL_CHANGES", "the model server's model keeps changing")

    def _preprocess(
        self, data: bytes, preprocessor: Preprocessor, deadline: Deadline
    ) -> NDArray[np.uint8] | ImageError:
        """Decode and prepare one image: shape (1, height, width, 3)."""
        try:
            if not data:
                raise EmptyImage("The image is empty. Send the whole file.")
            with self._decoder(deadline):
                return preprocessor.from_bytes(data)
        except ImageError as error:
            return error

    def _postprocess(
        self, data: bytes, preprocessor: Preprocessor, prediction: Prediction, row: int, deadline: Deadline
    ) -> Classification:
        """Take one image's row of a prediction, and draw its overlay if activation maps were asked for."""
        probabilities = prediction.probabilities[row]
        overlay = None
        if prediction.activation_maps is not None:
            with self._decoder(deadline):
                # Decoded a second time: all decoded images of a request would take too much memory until here.
                image = preprocessor.framed(decode(data, self._max_pixels))
                overlay = draw_overlay(image, prediction.activation_maps[row], int(probabilities.argmax()))
        return Classification(prediction.model, probabilities, float(prediction.out_of_distribution[row]), overlay)

    @contextmanager
    def _decoder(self, deadline: Deadline) -> Iterator[None]:
        """Hold one of the permits to decode; wait for it until the deadline passes."""
        while not self._decoders.acquire(timeout=deadline.remaining()):
            pass
        try:
            yield
        finally:
            self._decoders.release()
