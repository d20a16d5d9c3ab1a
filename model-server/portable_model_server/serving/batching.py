"""Batches: calls that wait for the same model are computed together.

No call waits for others to come. It runs at once while the model is free, and otherwise waits for its turn. Those that
wait when a turn comes share it, as far as they ask for the same thing.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portable_model_server.engines.base import BusyError, EngineError, InvalidInputError, LoadedModel
from portable_model_server.serving.trial import rows_are_independent
from tracing.spans import current

_LOGGER = logging.getLogger(__name__)
_Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class BatchingParameters:
    """How calls share predictions; TensorFlow Serving's parameters under its names.

    Attributes:
        max_batch_size: Rows of a prediction that calls share, at most.
        max_enqueued_batches: Predictions of that size that may wait; None for any number.
        num_batch_threads: Predictions side by side, if the engine allows as many; None leaves it to the engine.
        allowed_batch_sizes: Sizes, ascending, to which a batch is padded; empty for no padding.
        enable_large_batch_splitting: Whether a call of more rows is computed in parts; otherwise it is refused. None
            computes it as it is, alone.
    """

    max_batch_size: int
    max_enqueued_batches: int | None = None
    num_batch_threads: int | None = None
    allowed_batch_sizes: tuple[int, ...] = ()
    enable_large_batch_splitting: bool | None = None


def batched(model: LoadedModel, parameters: BatchingParameters) -> LoadedModel:
    """Return a model whose waiting calls share predictions, for each signature whose tensors all have rows."""
    return _batched(model, {name: parameters for name, signature in model.signatures.items() if signature.has_rows})


def batched_where_it_pays(model: LoadedModel) -> LoadedModel:
    """Return a model that computes as many rows at a time as pays on its engine.

    Where rows do not depend on each other, which is tried out, waiting calls share a prediction. A larger call is
    computed in parts as well, where a row is a grid such as an image: a network uses its weights many times within one,
    so a large batch is hardly faster, but keeps the others waiting, and memory taken (500 MB for 15 images of an
    Xception model in TensorFlow). Dense layers read all their weights for each batch, so those are left whole.
    """
    parameters = {}
    for name, signature in model.signatures.items():
        parts = any(len(info.shape or ()) > 2 for info in signature.inputs.values())
        if signature.has_rows and (parts or model.paying_rows > 1) and rows_are_independent(model, name):
            parameters[name] = BatchingParameters(
                model.paying_rows, enable_large_batch_splitting=True if parts else None
            )
    return _batched(model, parameters)


def _batched(model: LoadedModel, parameters: Mapping[str, BatchingParameters]) -> LoadedModel:
    for name, chosen in parameters.items():
        parts = ", larger calls in parts" if chosen.enable_large_batch_splitting else ""
        _LOGGER.info('up to %d rows of waiting calls of "%s" share a prediction%s', chosen.max_batch_size, name, parts)
    return _BatchedModel(model, parameters) if parameters else model


class _BatchedModel:
    """A model whose waiting calls share predictions; see ``base.LoadedModel``."""

    def __init__(self, model: LoadedModel, parameters: Mapping[str, BatchingParameters]) -> None:
        self.engine, self.precision, self.signatures = model.engine, model.precision, model.signatures
        self.streams, self.paying_rows = model.streams, model.paying_rows
        self._model = model
        self._turns = {name: _Turns(model, name, chosen) for name, chosen in parameters.items()}

    def predict(self, signature: str, inputs: _Arrays, outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """See ``base.LoadedModel.predict``.

        Raises:
            InvalidInputError: Also for more rows than a batch may have, if calls may not be computed in parts.
            BusyError: Too many calls wait already.
        """
        counts = {len(array) if array.ndim else 0 for array in inputs.values()}
        turns = self._turns.get(signature)
        if not turns or len(counts) != 1 or 0 in counts:
            return self._model.predict(signature, inputs, outputs)
        (rows,), parameters = counts, turns.parameters
        most = parameters.max_batch_size
        if rows <= most or parameters.enable_large_batch_splitting is None:
            return turns.compute(_Call(inputs, tuple(outputs), rows))
        if not parameters.enable_large_batch_splitting:
            raise InvalidInputError(f"Task size {rows} is larger than maximum input batch size {most}")
        parts = []
        for start in range(0, rows, most):
            part = _Call(
                {alias: array[start : start + most] for alias, array in inputs.items()},
                tuple(outputs),
                min(most, rows - start),
            )
            parts.append(turns.compute(part))
            _check_rows(parts[-1], part.rows)
        return {alias: np.concatenate([part[alias] for part in parts]) for alias in outputs}

    def close(self) -> None:
        """See ``base.LoadedModel.close``."""
        self._model.close()


@dataclass(eq=False)
class _Call:
    """A call, and once it is done, its outputs or its error.

    Attributes:
        rows: The first dimension of each input.
        batch: The calls that it computes, itself included, once it is its turn to compute a batch.
        ready: Set when the call is done or has a batch to compute; only for a call that waits.
        came: When it came, as ``time.time_ns`` tells it.
        began: When its computation began, the last one if there were several; 0 before.
        ended: When that ended.
        shared: How many calls, and how many rows, were computed together.
    """

    inputs: _Arrays
    names: tuple[str, ...]
    rows: int
    batch: "list[_Call]" = field(default_factory=list)
    ready: threading.Event | None = None
    outputs: dict[str, NDArray[Any]] | None = None
    error: Exception | None = None
    came: int = field(default_factory=time.time_ns)
    began: int = 0
    ended: int = 0
    shared: tuple[int, int] = (0, 0)

    def fits(self, other: "_Call") -> bool:
        """Whether the two can be rows of one prediction."""
        return self.names == other.names and all(
            alias in other.inputs
            and array.shape[1:] == other.inputs[alias].shape[1:]
            and array.dtype == other.inputs[alias].dtype
            for alias, array in self.inputs.items()
        )


class _Turns:
    """Lets as many predictions of a signature run as the engine computes side by side; each free place is a batch's."""

    def __init__(self, model: LoadedModel, signature: str, parameters: BatchingParameters) -> None:
        self._model = model
        self._signature = signature
        self.parameters = parameters
        self._most_waiting = (
            None
            if parameters.max_enqueued_batches is None
            else parameters.max_enqueued_batches * parameters.max_batch_size
        )
        self._lock = threading.Lock()
        self._free = max(1, min(model.streams, parameters.num_batch_threads or model.streams))
        self._waiting: deque[_Call] = deque()

    def compute(self, call: _Call) -> dict[str, NDArray[Any]]:
        """Compute a call in its turn, alone or with others.

        Raises:
            InvalidInputError, EngineError: As ``base.LoadedModel.predict``.
            BusyError: Too many calls wait already.
        """
        with self._lock:
            if self._free:
                self._free -= 1
                call.batch = [call]
            else:
                self._enqueue(call)
        if call.ready:
            call.ready.wait()
        if call.batch:
            try:
                self._predict(call.batch)
            finally:
                self._pass_on()
                for other in call.batch:
                    if other is not call and other.ready:
                        other.ready.set()
        _trace(call)
        if call.error:
            raise call.error
        if call.outputs is None:
            raise EngineError("the batch that held this call broke")
        return call.outputs

    def _enqueue(self, call: _Call) -> None:
        most = self._most_waiting
        if most is not None and sum(other.rows for other in self._waiting) + call.rows > most:
            raise BusyError("The batch scheduling queue to which this task was submitted is full")
        call.ready = threading.Event()
        self._waiting.append(call)

    def _pass_on(self) -> None:
        """Hand the place to the call that has waited longest, with those of the others that fit; else free it."""
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            first = self._waiting.popleft()
            first.batch, room = [first], self.parameters.max_batch_size - first.rows
            later: deque[_Call] = deque()
            while room > 0 and self._waiting:
                other = self._waiting.popleft()
                if other.rows <= room and first.fits(other):
                    first.batch.append(other)
                    room -= other.rows
                else:
                    later.append(other)
            self._waiting.extendleft(reversed(later))
        if first.ready:
            first.ready.set()

    def _predict(self, batch: list[_Call]) -> None:
        """Compute a batch; one that fails is computed call by call, so that no call has another one's error."""
        try:
            self._predict_together(batch)
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
                return
            for call in batch:
                self._predict([call])

    def _predict_together(self, batch: list[_Call]) -> None:
        first, rows = batch[0], sum(call.rows for call in batch)
        began = time.time_ns()
        try:
            self._compute(batch, first, rows)
        finally:
            ended = time.time_ns()
            for call in batch:
                call.began, call.ended, call.shared = began, ended, (len(batch), rows)

    def _compute(self, batch: list[_Call], first: _Call, rows: int) -> None:
        size = next((size for size in self.parameters.allowed_batch_sizes if size >= rows), rows)
        if size == first.rows:
            first.outputs = self._model.predict(self._signature, first.inputs, first.names)
            return
        inputs = {
            alias: np.concatenate(
                [call.inputs[alias] for call in batch] + [first.inputs[alias][:1]] * (size - rows)  # padding
            )
            for alias in first.inputs
        }
        outputs = self._model.predict(self._signature, inputs, first.names)
        _check_rows(outputs, size)
        start = 0
        for call in batch:
            call.outputs = {alias: array[start : start + call.rows] for alias, array in outputs.items()}
            start += call.rows


def _trace(call: _Call) -> None:
    """Make the spans of a call that is over, in its own thread: another call may have computed it."""
    engine = current()
    if call.ready and call.began:
        engine.add_child("wait", call.came, call.began)
    if call.began:
        calls, rows = call.shared
        engine.add_child("compute", call.began, call.ended, {"batch.calls": calls, "batch.rows": rows})


def _check_rows(outputs: _Arrays, rows: int) -> None:
    if any(not array.ndim or len(array) != rows for array in outputs.values()):
        raise EngineError("an output does not have a row for each row of the inputs, so the model takes no batches")
