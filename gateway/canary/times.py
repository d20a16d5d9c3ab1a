"""How long calls of both models take, for the metrics, and as a measure of how long the canary is waited for."""

import time
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from gateway.classify.choice import STABLE
from gateway.classify.classifier import Model
from gateway.deadline import Deadline, DeadlineExceeded
from gateway.metrics.canary import CanaryMetrics
from gateway.model.responses import ModelTooSlow, Prediction, ServedModel
from gateway.model.usual_time import UsualTimes


class Times:
    """The times of calls for predictions; safe to share between threads.

    Attributes:
        usual: The usual times of the stable model, by the kind of the call.
    """

    def __init__(self, metrics: CanaryMetrics) -> None:
        self.usual = UsualTimes()
        self._metrics = metrics

    @contextmanager
    def taken(self, label: str, kind: Hashable) -> Iterator[None]:
        """Take the time of a call of this model, unless it fails; one that is too slow took at least so long."""
        started = time.monotonic()
        try:
            yield
        except (ModelTooSlow, DeadlineExceeded):
            self._metrics.called(label, time.monotonic() - started)
            raise
        seconds = time.monotonic() - started
        self._metrics.called(label, seconds)
        if label == STABLE:
            self.usual.add(kind, seconds)


def kind_of(images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]], explain: bool) -> Hashable:
    """What makes calls alike in time: what is asked for, and for how many images."""
    parts = [images] if isinstance(images, np.ndarray) else images
    return explain, sum(len(part) for part in parts)


class TimedModel:
    """Calls the stable model server, and takes the times.

    Args:
        client: Calls it.
        times: Takes them.
    """

    def __init__(self, client: Model, times: Times) -> None:
        self._client = client
        self._times = times

    def get(self, deadline: Deadline, max_age: float | None = None) -> ServedModel:
        """As ``ModelClient.get``."""
        return self._client.get(deadline, max_age)

    def predict(
        self,
        model: ServedModel,
        images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
        *,
        explain: bool,
        deadline: Deadline,
    ) -> Prediction:
        """As ``ModelClient.predict``."""
        with self._times.taken(STABLE, kind_of(images, explain)):
            return self._client.predict(model, images, explain=explain, deadline=deadline)
