"""Requests that the stable model has answered, for the canary too: what it says is compared, and sent to nobody."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from brain_tumor.calls import images_of_a_call
from gateway.canary.attempt import Attempt
from gateway.canary.health import Health
from gateway.canary.shadow_threads import ShadowThreads
from gateway.classify.kept import HeldPixels
from gateway.deadline import Deadline
from gateway.metrics.canary import COMPARED, DROPPED, CanaryMetrics
from gateway.model.client import ModelChanged


@dataclass(frozen=True)
class Shadow:
    """A request that the stable model has answered.

    Attributes:
        held: The pixels of its images, one image in each array.
        probabilities: What the stable model says of each image: shape (class,).
        explain: Whether activation maps were asked for: the canary's calls are to cost as much.
    """

    held: HeldPixels
    probabilities: Sequence[NDArray[np.float32]]
    explain: bool


class Shadows:
    """Compares the canary with the stable model, in threads of its own; safe to share between threads.

    Args:
        attempt: Gives what calls the canary until a deadline, about so many images.
        health: Says whether it may be asked.
        metrics: Counts what comes of it.
        seconds: How long one request's work may take.
    """

    def __init__(
        self, attempt: Callable[[Deadline, int], Attempt], health: Health, metrics: CanaryMetrics, seconds: float
    ) -> None:
        self._attempt = attempt
        self._health = health
        self._metrics = metrics
        self._seconds = seconds
        self._threads = ShadowThreads()

    def add(self, shadow: Shadow) -> None:
        """Compare what the canary says of a request, some time soon, or drop it where too many wait. Does not wait."""
        if not self._threads.add(partial(self._run, shadow)):
            shadow.held.release()
            self._metrics.shadowed(DROPPED)

    def _run(self, shadow: Shadow) -> None:
        outcome = DROPPED
        try:
            if self._health.lets_through():
                try:
                    outcome = self._compare(shadow)
                finally:
                    self._health.ended(outcome)
        finally:
            shadow.held.release()
            self._metrics.shadowed(outcome)

    def _compare(self, shadow: Shadow) -> str:
        """Ask the canary, and count how far it is from the stable model; return the outcome."""
        try:
            predicted = self._predict(shadow)
        except ModelChanged:
            return DROPPED  # the pixels are those of another model
        except Exception as error:  # whatever it is, the next shadow may be well
            return self._health.outcome_of(error) or DROPPED
        for expected, found in zip(shadow.probabilities, predicted, strict=True):
            self._metrics.compared(int(expected.argmax()) == int(found.argmax()), total_variation(expected, found))
        return COMPARED

    def _predict(self, shadow: Shadow) -> list[NDArray[np.float32]]:
        deadline = Deadline(self._seconds)
        attempt = self._attempt(deadline, len(shadow.held.pixels))
        model = attempt.get(deadline)
        if model.metadata.image != shadow.held.spec:
            raise ModelChanged(model)
        pixels = shadow.held.pixels
        explain = shadow.explain and model.metadata.explains
        step = images_of_a_call(model.metadata.image)
        predicted: list[NDArray[np.float32]] = []
        for start in range(0, len(pixels), step):
            prediction = attempt.predict(model, pixels[start : start + step], explain=explain, deadline=deadline)
            predicted += list(prediction.probabilities)
        return predicted


def total_variation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """The total variation distance of two distributions: the largest difference that any set of classes can have.

    Args:
        first: Shape (class,), probabilities.
        second: The same classes in the same order.

    Returns:
        0 for equal ones, to 1 for distributions without a class in common.
    """
    return float(np.abs(first.astype(np.float64) - second).sum() / 2)
