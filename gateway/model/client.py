"""Calls the model server: to learn what the model is (its metadata), and for predictions.

A model can be replaced at any moment. So each call takes whatever version the server has and compares it with the
one that the images were prepared for; ``ModelChanged`` makes the caller prepare them again.
"""

import threading
import time
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from brain_tumor import contract
from brain_tumor.calls import DESCRIBE, EXPLAIN, PREDICT
from gateway.deadline import Deadline
from gateway.model.channel import METHOD
from gateway.model.connection import Connection
from gateway.model.responses import (
    ModelError,
    ModelMismatch,
    ModelServerProblem,
    ModelUnavailable,
    Prediction,
    ServedModel,
    read_metadata,
    read_prediction,
)
from gateway.model.shared_check import FRESH, SharedCheck
from serving_api.messages import PredictResponse
from serving_api.requests import predict_request, serialized_predict_request
from tracing.spans import span

# A model server that has another model under the same version number is noticed after this time.
METADATA_MAX_AGE = 30.0  # seconds
# While a new model is rolled out, replicas differ, and a call and its repetition may meet two of them in turn.
_ATTEMPTS = 3


class ModelChanged(Exception):
    """The server has another model than the images were prepared for: prepare them for ``model``."""

    def __init__(self, model: ServedModel) -> None:
        super().__init__(f"now version {model.version}")
        self.model = model


class _Description(NamedTuple):
    """A model, and when the server was asked what it is."""

    asked_at: float
    model: ServedModel


class ModelClient:
    """One model of one model server; safe to share between threads.

    Args:
        server: ``host:port``, or a gRPC target.
        model_name: The model to ask for.
        max_age: Seconds after which the metadata is asked for again.
        check_age: Seconds for which the result of a check holds.
        version_label: The label of the version to ask for; empty leaves the choice to the server.
    """

    def __init__(
        self,
        server: str,
        model_name: str,
        max_age: float = METADATA_MAX_AGE,
        check_age: float = FRESH,
        *,
        version_label: str = "",
    ) -> None:
        self._label = version_label or None
        self._connection = Connection(server, _describe_request(model_name, self._label))
        self._model_name = model_name
        self._max_age = max_age
        self._check = SharedCheck(self.refresh, check_age)
        self._describing = threading.Lock()
        self._by_version: dict[int, _Description] = {}
        self._latest: _Description | None = None
        self._last_failure: tuple[float, ModelUnavailable] | None = None  # when no replica responded, and its error

    @property
    def cached(self) -> ServedModel | None:
        """The model as last seen, without a call; None before the first response."""
        return self._latest.model if self._latest else None

    def get(self, deadline: Deadline, max_age: float | None = None) -> ServedModel:
        """Get the model to prepare images for, from the cache where that is recent enough.

        Args:
            deadline: Ends the call, if one is made.
            max_age: How many seconds ago the server may have described it; None means the client's own limit.

        Raises:
            ModelServerProblem: There is no usable response.
            DeadlineExceeded: The deadline passed.
        """
        return self._describe(deadline, time.monotonic() - (self._max_age if max_age is None else max_age))

    def refresh(self, deadline: Deadline) -> ServedModel:
        """Get the model that the server has now; errors as for ``get``."""
        return self.get(deadline, max_age=0)

    def check(self) -> ServedModel:
        """Get the model that the server has about now, within a second; cheap for any number of callers.

        Raises:
            ModelServerProblem: There is no usable response.
        """
        return self._check.get()

    def predict(
        self,
        model: ServedModel,
        images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
        *,
        explain: bool,
        deadline: Deadline,
    ) -> Prediction:
        """Classify images that were prepared for ``model``.

        Args:
            model: The model that the images were prepared for.
            images: Shape (batch, height, width, 3), or several such arrays, which are sent as one batch.
            explain: Whether to ask for activation maps too; the metadata must offer them.
            deadline: Ends the calls.

        Raises:
            ModelChanged: The images must be prepared anew.
            ModelServerProblem: There is no usable response.
            DeadlineExceeded: The deadline passed.
        """
        parts = [images] if isinstance(images, np.ndarray) else images
        batch = sum(len(part) for part in parts)
        call = EXPLAIN if explain else PREDICT
        request = serialized_predict_request(
            self._model_name, call.signature, contract.IMAGES, parts, call.outputs, self._label
        )
        asked_at = time.monotonic()
        for attempt in range(_ATTEMPTS):
            try:
                response = self._send(request, (explain, batch), deadline, call.signature, batch)
                predicting = self._identify(response, model, deadline)
                return read_prediction(response, predicting, batch, explain)
            except ModelMismatch as problem:
                # A replaced model refuses the images of the one before it, or has other classes.
                failure = problem
            if attempt == 0 and (current := self._describe(deadline, asked_at)) != model:
                raise ModelChanged(current)
        raise failure

    def calls(self) -> Mapping[str, int]:
        """How many calls of the model server ended in which way so far: ``response``, ``unavailable``, ``hung``, ..."""
        return self._connection.results()

    @property
    def ejections(self) -> int:
        """How often a replica was taken out of service so far."""
        return self._connection.ejections

    def close(self) -> None:
        """End the connections."""
        self._connection.close()

    def _send(
        self, request: bytes, kind: Hashable, deadline: Deadline, signature: str, rows: int = 0
    ) -> PredictResponse:
        """Call the model server, and say so in a span."""
        with span(METHOD, calls=True) as call:
            call.set("rpc.system.name", "grpc")
            call.set("rpc.method", METHOD)
            call.set("model.name", self._model_name)
            if self._label:
                call.set("model.label", self._label)
            call.set("model.signature", signature)
            call.set("batch.rows", rows)
            try:
                response = self._connection.predict(request, kind, deadline)
            except ModelServerProblem as problem:
                call.fail(problem.code)
                raise
            version = response.model_spec.version.value
            call.set("rpc.response.status_code", "OK")
            call.set("model.version", version)
            if known := self._find(version):
                call.set("model.precision", known.model.metadata.precision)
            return response

    def _identify(self, response: PredictResponse, expected: ServedModel, deadline: Deadline) -> ServedModel:
        """Find the model that made a response; ModelChanged if it takes other images than the expected one."""
        version = response.model_spec.version.value
        if version == expected.version:
            return expected
        now = time.monotonic()
        try:
            model = self._describe(deadline, now - self._max_age, version)
        except ModelError:  # that version responded, and is gone already
            raise ModelChanged(self._describe(deadline, now)) from None
        if not model.accepts_images_of(expected):
            raise ModelChanged(model)
        return model

    def _describe(self, deadline: Deadline, not_before: float, version: int | None = None) -> ServedModel:
        """Get the model, in this version or whichever the server has, as described at that moment or later.

        One thread calls the server; the others wait and share what it learns, a failure too.
        """
        if (description := self._find(version)) and description.asked_at >= not_before:
            return description.model
        arrived = time.monotonic()
        deadline.acquire(self._describing)
        try:
            if (description := self._find(version)) and description.asked_at >= not_before:
                return description.model
            if self._last_failure and self._last_failure[0] >= arrived:
                raise self._last_failure[1].with_traceback(None)
            try:
                return self._call_describe(deadline, version)
            except ModelUnavailable as problem:
                self._last_failure = (time.monotonic(), problem)
                raise
        finally:
            self._describing.release()

    def _find(self, version: int | None) -> _Description | None:
        return self._latest if version is None else self._by_version.get(version)

    def _call_describe(self, deadline: Deadline, version: int | None) -> ServedModel:
        asked_at = time.monotonic()
        request = _describe_request(self._model_name, self._label if version is None else version)
        try:
            response = self._send(request, DESCRIBE.signature, deadline, DESCRIBE.signature)
        except ModelError:
            if version is None:
                raise
            # The call may have met a replica that does not have this version: a second call reaches another.
            response = self._send(request, DESCRIBE.signature, deadline, DESCRIBE.signature)
        model = ServedModel(self._model_name, response.model_spec.version.value, read_metadata(response))
        oldest = asked_at - self._max_age
        kept = {
            number: description for number, description in self._by_version.items() if description.asked_at >= oldest
        }
        self._latest = _Description(asked_at, model)
        self._by_version = {**kept, model.version: self._latest}
        return model


def _describe_request(model_name: str, version: int | str | None) -> bytes:
    # Without queries: the SavedModel's default is one, and models that were converted before they existed take none.
    request = predict_request(model_name, DESCRIBE.signature, {}, DESCRIBE.outputs, version)
    return request.SerializeToString()
