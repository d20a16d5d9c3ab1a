"""Calls of the canary for one request: within its share of the time, and only of a model that can stand in."""

import math
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from brain_tumor.calls import images_of_a_call
from gateway.canary.times import Times, kind_of
from gateway.classify.choice import CANARY
from gateway.classify.classifier import Model
from gateway.deadline import ClientLeft, Deadline, DeadlineExceeded
from gateway.metrics.canary import FAILED, MISMATCH, SKIPPED, SLOW, UNAVAILABLE
from gateway.model.responses import ModelServerProblem, ModelTooSlow, ModelUnavailable, Prediction, ServedModel

DESCRIBE_SECONDS = 1.0  # to say what its model is, which takes milliseconds
# The canary has until then, of the time that its request has left; the stable model has the rest.
PART_OF_TIME = 1 / 2
T = TypeVar("T")


class CanaryFailed(Exception):
    """The canary does not answer a request.

    Args:
        outcome: How it is counted; empty: not at all.
        why: For the log.
    """

    def __init__(self, outcome: str, why: str = "") -> None:
        super().__init__(why)
        self.outcome = outcome


class Attempt:
    """What a classifier calls in the place of ``ModelClient``, for one request.

    Calls have a time limit of their own: well above what calls of the stable model usually take, and so early that this
    one can still respond before the deadline. The images' preparation has none, for the stable model needs it too.

    Args:
        client: Calls the canary.
        stable: The model that it stands in for.
        times: Takes the times of its calls, and knows those of the stable model.
        seconds: How long from now on it may be called.
        images: How many images the request has. They may take several calls, and the time must do for all.

    Attributes:
        was_slow: Whether the client has left after a long wait for one call. Who leaves early must not hide that a
            canary hangs.
    """

    def __init__(self, client: Model, stable: ServedModel, times: Times, seconds: float, images: int) -> None:
        self._client = client
        self._stable = stable
        self._times = times
        self._end = time.monotonic() + seconds
        self._images = images
        self._calls = 1  # that are still to come
        self.was_slow = False

    def get(self, deadline: Deadline, max_age: float | None = None) -> ServedModel:
        """As ``ModelClient.get``.

        Raises:
            CanaryFailed: There is no usable response in time, or another kind of model.
            ClientLeft: Nobody waits for the response.
        """
        model = self._within(DESCRIBE_SECONDS, deadline, lambda limited: self._client.get(limited, max_age))
        self._calls = math.ceil(self._images / images_of_a_call(model.metadata.image))
        return self._checked(model)

    def predict(
        self,
        model: ServedModel,
        images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
        *,
        explain: bool,
        deadline: Deadline,
    ) -> Prediction:
        """As ``ModelClient.predict``.

        Raises:
            ModelChanged: The images must be prepared anew.
            CanaryFailed: There is no usable response in time, or another kind of model.
            ClientLeft: Nobody waits for the response.
        """
        kind = kind_of(images, explain)
        if self._end - time.monotonic() < self._calls * self._times.usual.mean(kind):
            raise CanaryFailed(SKIPPED, "the time that is left is too short for all images")
        self._calls = max(1, self._calls - 1)

        def call(limited: Deadline) -> Prediction:
            with self._times.taken(CANARY, kind):
                return self._client.predict(model, images, explain=explain, deadline=limited)

        prediction = self._within(self._times.usual.patience(kind), deadline, call)
        self._checked(prediction.model)
        return prediction

    def _within(self, seconds: float, deadline: Deadline, call: Callable[[Deadline], T]) -> T:
        deadline.remaining()
        left = self._end - time.monotonic()
        if left <= 0:
            raise CanaryFailed(SKIPPED, "the images' preparation left no time for it")
        limited = Deadline(min(seconds, left))
        began = time.monotonic()
        try:
            with deadline.on_cancel(limited.cancel):
                return call(limited)
        except ClientLeft:
            self.was_slow = time.monotonic() - began > limited.seconds / 2
            raise
        except DeadlineExceeded:
            raise CanaryFailed(SLOW, "no response in time") from None
        except ModelServerProblem as problem:
            raise CanaryFailed(outcome_of(problem), str(problem)) from None

    def _checked(self, model: ServedModel) -> ServedModel:
        if why := cannot_stand_in(model, self._stable):
            raise CanaryFailed(MISMATCH, why)
        return model


def outcome_of(problem: ModelServerProblem) -> str:
    """How a problem of the canary's model server is counted."""
    if isinstance(problem, ModelTooSlow):
        return SLOW
    return UNAVAILABLE if isinstance(problem, ModelUnavailable) else FAILED


def cannot_stand_in(model: ServedModel, stable: ServedModel) -> str:
    """Why clients of the stable model cannot do with another one; empty if they can.

    Other images are no reason: they are prepared as each model takes them.
    """
    own, expected = model.metadata, stable.metadata
    if own.class_names != expected.class_names:
        return f"version {model.version} has other class names, or another order of them"
    if own.out_of_distribution_threshold is None and expected.out_of_distribution_threshold is not None:
        return f"version {model.version} has no threshold of the out-of-distribution score"
    return ""
