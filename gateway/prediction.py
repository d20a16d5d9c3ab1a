"""Images' bytes to what the model makes of them: preprocess, predict, and again if the model changed meanwhile."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brain_tumor.image import ImageError, Preprocessor, decode
from gateway.deadline import Deadline
from gateway.explanation import draw_overlay
from gateway.metrics import Metrics
from gateway.model_answers import ModelUnavailable, Prediction, ServedModel
from gateway.model_client import ModelChanged, ModelClient

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
    """What a model made of one image.

    Attributes:
        model: the one that answered.
        probabilities: float32 (class,), in the order of the metadata's class names.
        out_of_distribution: the score; larger is stranger.
        overlay: a PNG that explains the predicted class, or None if not asked for.
    """

    model: ServedModel
    probabilities: NDArray[np.float32]
    out_of_distribution: float
    overlay: bytes | None

    @property
    def class_index(self) -> int:
        """Of the most probable class."""
        return int(self.probabilities.argmax())


class Classifier:
    """Classifies encoded encoded; safe to share between threads.

    Args:
        model_client: asks the model server.
        metrics: takes the stages' times.
        max_pixels: of one image.
        decoders: encoded decoded at a time.
    """

    def __init__(self, model_client: ModelClient, metrics: Metrics, *, max_pixels: int, decoders: int) -> None:
        self._client = model_client
        self._metrics = metrics
        self._max_pixels = max_pixels
        self._decoders = threading.BoundedSemaphore(decoders)

    def classify(
        self, encoded: Sequence[bytes], *, explain: bool, deadline: Deadline
    ) -> list[Classification | ImageError]:
        """One outcome for each image, in order: a classification, or what is wrong with the image.

        Raises:
            CannotExplain: explanations were asked for, and the model has none.
            ModelServerProblem, DeadlineExceeded: the model server gave no usable answer.
        """
        metadata = self._client.current(deadline).metadata
        step = max(1, _BATCH_BYTES // (metadata.height * metadata.width * 3))
        outcomes: list[Classification | ImageError] = []
        for start in range(0, len(encoded), step):
            outcomes += self._classify_batch(encoded[start : start + step], explain, deadline)
        return outcomes

    def _classify_batch(
        self, encoded: Sequence[bytes], explain: bool, deadline: Deadline
    ) -> list[Classification | ImageError]:
        model = self._client.current(deadline)
        for _ in range(_MAX_CHANGES):
            if explain and not model.metadata.explains:
                raise CannotExplain("The model cannot explain its answers. Ask without explain=true.")
            with self._metrics.stage("preprocess"):
                prepared = [self._preprocess(data, model, deadline) for data in encoded]
            images = [image for image in prepared if not isinstance(image, ImageError)]
            if not images:
                return [image for image in prepared if isinstance(image, ImageError)]
            try:
                with self._metrics.stage("predict"):
                    prediction = self._client.predict(model, np.concatenate(images), explain=explain, deadline=deadline)
            except ModelChanged as change:
                model = change.model
                continue
            with self._metrics.stage("postprocess"):
                rows = iter(range(len(images)))
                return [
                    image if isinstance(image, ImageError) else self._conclude(data, prediction, next(rows), deadline)
                    for data, image in zip(encoded, prepared, strict=True)
                ]
        raise ModelUnavailable("MODEL_CHANGES", "the model server's model keeps changing")

    def _preprocess(self, data: bytes, model: ServedModel, deadline: Deadline) -> NDArray[np.uint8] | ImageError:
        metadata = model.metadata
        try:
            if not data:
                raise EmptyImage("The image is empty. Send the whole file.")
            with self._decoder(deadline):
                return Preprocessor(metadata.height, metadata.width, metadata.resampling, self._max_pixels).from_bytes(
                    data
                )
        except ImageError as error:
            return error

    def _conclude(self, data: bytes, prediction: Prediction, row: int, deadline: Deadline) -> Classification:
        probabilities = prediction.probabilities[row]
        overlay = None
        if prediction.activation_maps is not None:
            with self._decoder(deadline):
                decoded = decode(data, self._max_pixels)
                overlay = draw_overlay(decoded, prediction.activation_maps[row], int(probabilities.argmax()))
        return Classification(prediction.model, probabilities, float(prediction.out_of_distribution[row]), overlay)

    @contextmanager
    def _decoder(self, deadline: Deadline) -> Iterator[None]:
        """One of the places for decoding, at the latest when the deadline passes."""
        while not self._decoders.acquire(timeout=deadline.remaining()):
            pass
        try:
            yield
        finally:
            self._decoders.release()
