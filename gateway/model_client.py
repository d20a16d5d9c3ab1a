"""Asks the model server: what the model is (its metadata), and what it makes of images.

A model can be replaced at any moment. So each call takes whatever version the server has and compares it with the
one the images were prepared for; ``ModelChanged`` tells the caller to prepare them again.
"""

import threading
import time
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from brain_tumor import contract
from gateway.channel import Connection
from gateway.deadline import Deadline, DeadlineExceeded
from gateway.model_answers import (
    ModelError,
    ModelMismatch,
    ModelOverloaded,
    ModelServerProblem,
    ModelTooSlow,
    ModelUnavailable,
    Prediction,
    ServedModel,
    read_metadata,
    read_prediction,
)
from serving_api.messages import PredictRequest
from serving_api.tensors import from_array

# An image of the model server with another model under the same version number is noticed after this.
METADATA_LIFETIME = 30.0  # seconds
# While a new model is rolled out, replicas differ, and a call and its repetition may meet two of them in turn.
_ATTEMPTS = 3


class ModelChanged(Exception):
    """The server has another model than the images were prepared for: prepare them for ``model``."""

    def __init__(self, model: ServedModel) -> None:
        super().__init__(f"now version {model.version}")
        self.model = model


class ModelClient:
    """One model of one model server; safe to share between threads.

    Args:
        server: host:port, or a gRPC target.
        model_name: the model to ask for.
        metadata_lifetime: seconds after which the metadata is asked for again.
    """

    def __init__(self, server: str, model_name: str, metadata_lifetime: float = METADATA_LIFETIME) -> None:
        self._connection = Connection(server)
        self._model_name = model_name
        self._metadata_lifetime = metadata_lifetime
        self._describing = threading.Lock()
        self._described: dict[int, tuple[float, ServedModel]] = {}  # version: (when, model)
        self._latest: tuple[float, ServedModel] | None = None
        self._missed: tuple[float, ModelUnavailable] | None = None  # (when, why) nobody answered

    @property
    def known(self) -> ServedModel | None:
        """The model as last seen, without asking; None before the first answer."""
        return self._latest[1] if self._latest else None

    def current(self, deadline: Deadline) -> ServedModel:
        """The model to prepare images for, as seen at most ``metadata_lifetime`` seconds ago.

        Raises:
            ModelServerProblem, DeadlineExceeded: it cannot be learned.
        """
        return self._describe(deadline, time.monotonic() - self._metadata_lifetime)

    def ask(self, deadline: Deadline) -> ServedModel:
        """The model that the server has now; errors as ``current``."""
        return self._describe(deadline, time.monotonic())

    def predict(
        self, model: ServedModel, images: NDArray[np.uint8], *, explain: bool, deadline: Deadline
    ) -> Prediction:
        """Classify images prepared for ``model``.

        Args:
            images: (batch, height, width, 3)
            explain: whether to ask for activation maps too; the metadata must offer them.

        Raises:
            ModelChanged: the images must be prepared anew.
            ModelServerProblem, DeadlineExceeded: there is no usable answer.
        """
        outputs = [contract.PROBABILITIES, contract.OUT_OF_DISTRIBUTION]
        request = self._request(contract.PREDICT_SIGNATURE, outputs + [contract.ACTIVATION_MAPS] * explain)
        request.inputs[contract.IMAGES].CopyFrom(from_array(images))
        asked = time.monotonic()
        for attempt in range(_ATTEMPTS):
            try:
                response = self._call(request, deadline)
                answering = self._identify(response, model, deadline)
                return read_prediction(response, answering, len(images), explain)
            except ModelMismatch as problem:
                # A replaced model refuses the images of the one before it, or has other classes.
                failure = problem
            if attempt == 0 and (now := self._describe(deadline, asked)) != model:
                raise ModelChanged(now)
        raise failure

    def close(self) -> None:
        """End the connections."""
        self._connection.close()

    def _identify(self, response: Any, expected: ServedModel, deadline: Deadline) -> ServedModel:
        version = response.model_spec.version.value
        if version == expected.version:
            return expected
        now = time.monotonic()
        try:
            model = self._describe(deadline, now - self._metadata_lifetime, version)
        except ModelError:  # it answered, and is gone already
            raise ModelChanged(self._describe(deadline, now)) from None
        if not model.takes_the_images_of(expected):
            raise ModelChanged(model)
        return model

    def _describe(self, deadline: Deadline, not_before: float, version: int | None = None) -> ServedModel:
        """The model, the given version of it or whichever the server has, as described ``not_before`` that moment.

        One thread asks; the others wait for what it learns, be it that nobody answers.
        """
        if (seen := self._seen(version)) and seen[0] >= not_before:
            return seen[1]
        arrived = time.monotonic()
        if not self._describing.acquire(timeout=deadline.remaining()):
            raise DeadlineExceeded
        try:
            if (seen := self._seen(version)) and seen[0] >= not_before:
                return seen[1]
            if self._missed and self._missed[0] >= arrived:
                raise self._missed[1].with_traceback(None)
            asked = time.monotonic()
            request = self._request(contract.DESCRIBE_SIGNATURE, [contract.METADATA], version)
            try:
                response = self._call(request, deadline)
            except ModelError:
                if version is None:
                    raise
                # A pinned version may have met a replica that does not have it: once more reaches another.
                response = self._call(request, deadline)
            model = ServedModel(self._model_name, response.model_spec.version.value, read_metadata(response))
            alive = asked - self._metadata_lifetime
            kept = {number: entry for number, entry in self._described.items() if entry[0] >= alive}
            self._described = {**kept, model.version: (asked, model)}
            self._latest = (asked, model)
            return model
        except ModelUnavailable as problem:
            self._missed = (time.monotonic(), problem)
            raise
        finally:
            self._describing.release()

    def _seen(self, version: int | None) -> tuple[float, ServedModel] | None:
        return self._latest if version is None else self._described.get(version)

    def _request(self, signature: str, outputs: list[str], version: int | None = None) -> Any:
        request = PredictRequest(output_filter=outputs)
        request.model_spec.name = self._model_name
        request.model_spec.signature_name = signature
        if version is not None:
            request.model_spec.version.value = version
        return request

    def _call(self, request: Any, deadline: Deadline) -> Any:
        try:
            return self._connection.predict(request, deadline.remaining())
        except grpc.RpcError as error:
            kind = _MEANINGS.get(error.code(), ModelError)
            raise kind(error.code().name, error.details() or "") from None


_MEANINGS: dict[grpc.StatusCode, type[ModelServerProblem]] = {
    grpc.StatusCode.UNAVAILABLE: ModelUnavailable,
    grpc.StatusCode.CANCELLED: ModelUnavailable,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ModelOverloaded,
    grpc.StatusCode.DEADLINE_EXCEEDED: ModelTooSlow,
    grpc.StatusCode.INVALID_ARGUMENT: ModelMismatch,
}
