"""Images that clients have prepared themselves, as the pixels that the model takes: there is nothing to preprocess."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from brain_tumor.calls import images_of_a_call
from brain_tumor.reference import brightness
from gateway.classify.changes import with_newest
from gateway.classify.choice import Choice, find_stable
from gateway.classify.classification import Classification, observe
from gateway.classify.classifier import Model
from gateway.deadline import Deadline
from gateway.metrics import Metrics
from gateway.model.responses import Prediction, ServedModel


class OtherSize(Exception):
    """The model takes images of another size."""


class PixelClassifier:
    """Classifies prepared images; safe to share between threads.

    Args:
        model_client: Calls the model server.
        metrics: Takes the times of the stages, and what the model says.
    """

    def __init__(self, model_client: Model, metrics: Metrics) -> None:
        self._client = model_client
        self._metrics = metrics

    def classify(
        self,
        pixels: NDArray[np.uint8],
        model: ServedModel,
        deadline: Deadline,
        choice: Choice = Choice(),  # noqa: B008 - it cannot change
    ) -> list[Classification]:
        """Classify the images of one request, in order.

        Args:
            pixels: Shape (image, height, width, 3), as the model takes them.
            model: The model, as last seen.
            deadline: Ends the work.
            choice: Which model the request may have.

        Raises:
            NotServed: It wants another model than there is.
            OtherSize: The model takes images of another size, perhaps since a moment ago.
            ModelServerProblem: The model server gave no usable response.
            DeadlineExceeded: The deadline passed.
        """
        if choice.wanted is not None:
            find_stable(self._client, choice, deadline)
        classifications = self.classify_by(self._client, pixels, model, deadline)
        observe(self._metrics, classifications)
        return classifications

    def classify_by(
        self, model_client: Model, pixels: NDArray[np.uint8], model: ServedModel, deadline: Deadline
    ) -> list[Classification]:
        """Classify images by a model server of the caller's choice, and count nothing; errors as of ``classify``."""
        step = images_of_a_call(model.metadata.image)
        classifications: list[Classification] = []
        for start in range(0, len(pixels), step):
            batch = pixels[start : start + step]
            prediction = with_newest(model, partial(self._predict, model_client, batch, deadline))
            model = prediction.model
            rows = zip(batch, prediction.probabilities, prediction.out_of_distribution, strict=True)
            for image, probabilities, score in rows:
                light = brightness(image)
                classifications.append(Classification(model, probabilities, float(score), None, brightness=light))
        return classifications

    def _predict(
        self, model_client: Model, pixels: NDArray[np.uint8], deadline: Deadline, model: ServedModel
    ) -> Prediction:
        image = model.metadata.image
        if pixels.shape[1:3] != (image.height, image.width):
            raise OtherSize(
                f"The model now takes images of height {image.height} and width {image.width}. Resize yours."
            )
        with self._metrics.stage("predict"):
            return model_client.predict(model, pixels, explain=False, deadline=deadline)
