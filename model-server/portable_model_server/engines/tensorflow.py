"""Runs a SavedModel by TensorFlow itself: the reference, and the engine for what OpenVINO cannot run.

Each model has a graph and a session of its own, by the code that tensorflow/serving runs too. The session holds every
signature, computes only the outputs that are asked for, and frees its memory when it is closed.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portable_model_server.engines.base import (
    TENSORFLOW,
    EngineError,
    InvalidInputError,
    Threads,
    UnsupportedError,
    check_inputs,
)
from portable_model_server.engines.c_api import INVALID_ARGUMENT, Session, TensorFlowError
from portable_model_server.engines.form import FLOAT32
from portable_model_server.engines.memory import trim_heap
from portable_model_server.engines.saved_model import SERVE_TAG, Signature, read_saved_model, signatures

_NODE = re.compile(r"\[\[\{\{.*?\]\]|\{\{[^{}]*\}\}\s*")  # {{node name}} before a message, [[{{node name}}]] behind it
_LONGEST_REASON = 2000  # characters: TensorFlow repeats any number of values


class TensorFlowEngine:
    """Loads models into TensorFlow sessions."""

    name = TENSORFLOW

    def __init__(self, threads: Threads) -> None:
        # By itself, TensorFlow counts the host's CPUs and overlooks a container's quota.
        self._intra_op = threads.intra_op or threads.cpus
        self._inter_op = threads.inter_op or threads.cpus

    def load(self, path: Path) -> "TensorFlowModel":
        """Load a SavedModel, its variables and tables.

        Raises:
            SavedModelError: There is no readable SavedModel.
            EngineError: TensorFlow cannot load it.
        """
        declared = signatures(read_saved_model(path))
        trim_heap()
        try:
            session = Session(path, SERVE_TAG, self._intra_op, self._inter_op)
        except (TensorFlowError, OSError) as error:
            raise EngineError(f"TensorFlow cannot load the model: {_reason(error)}") from error
        for name, signature in declared.items():
            for alias, info in (*signature.inputs.items(), *signature.outputs.items()):
                # A sparse tensor has no name of its own.
                if info.is_tensor and info.name and not session.has(info.name):
                    session.close()
                    raise EngineError(
                        f'TensorFlow cannot load the model: the graph has no tensor "{info.name}", '
                        f'which is "{alias}" of the signature "{name}"'
                    )
        trim_heap()
        return TensorFlowModel(declared, session, self._inter_op)


class TensorFlowModel:
    """A model in a TensorFlow session; see ``base.LoadedModel``."""

    engine, precision = TENSORFLOW, FLOAT32
    paying_rows = 1  # four callers of one image each got 8.4 images/s, batches of eight 6.2 (Xception, 2 cores)

    def __init__(self, declared: Mapping[str, Signature], session: Session, streams: int) -> None:
        self.streams = streams
        self.signatures = declared
        self._session = session

    def predict(
        self, signature: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> dict[str, NDArray[Any]]:
        """See ``base.LoadedModel.predict``."""
        declared = self.signatures[signature]
        if not all(info.name for info in (*declared.inputs.values(), *declared.outputs.values())):
            raise UnsupportedError(f'the signature "{signature}" has sparse tensors, which this server does not have')
        feeds = {declared.inputs[alias].name: array for alias, array in inputs.items()}
        fetches = {alias: declared.outputs[alias].name for alias in outputs}
        computed = [name for name in fetches.values() if name not in feeds]  # TensorFlow computes none that it is given
        try:
            values = dict(zip(computed, self._session.run(feeds, computed) if computed else (), strict=True))
        except TensorFlowError as error:
            if error.code != INVALID_ARGUMENT:
                failure = EngineError(f"TensorFlow failed to compute: {_reason(error)}")
                failure.code = error.code
                raise failure from error
            self._check_shapes(declared, inputs, computed)
            raise InvalidInputError(_reason(error)) from error
        return {alias: values[name] if name in values else feeds[name].copy() for alias, name in fetches.items()}

    def _check_shapes(self, declared: Signature, inputs: Mapping[str, NDArray[Any]], tensors: Sequence[str]) -> None:
        """Check the shapes of inputs that the graph refuses, since an error that names a shape is clearer than its own.

        The graph may take other shapes than the signature declares, and refuse something else. So a shape is to blame
        only if the same values pass in one that is declared.

        Raises:
            InvalidInputError: See ``base.check_inputs``.
        """
        try:
            check_inputs(declared, inputs)
        except InvalidInputError:
            fitted = _fitted(declared, inputs)
            if fitted is None:
                return
            try:
                self._session.run({declared.inputs[alias].name: array for alias, array in fitted.items()}, tensors)
            except TensorFlowError:
                return
            raise

    def close(self) -> None:
        """See ``base.LoadedModel.close``."""
        self._session.close()
        trim_heap()


def _fitted(declared: Signature, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]] | None:
    """All values of the inputs, and as often as needed again, in shapes that the signature declares.

    Returns:
        None if they would be far more values than were given: an input of many short rows beside one of long ones.
    """
    rows, shapes = 1, {}
    for alias, array in inputs.items():
        shape = declared.inputs[alias].shape
        if shape is None:
            shapes[alias] = array.shape
            continue
        given = array.shape if array.ndim == len(shape) else (1,) * len(shape)
        sizes = [max(1, size if free < 0 else free) for free, size in zip(shape, given, strict=True)]
        if shape and shape[0] < 0:
            rows = max(rows, math.ceil(array.size / math.prod(sizes[1:])))
            sizes[0] = -1  # as many as all inputs need
        shapes[alias] = tuple(sizes)
    shapes = {alias: tuple(rows if size < 0 else size for size in sizes) for alias, sizes in shapes.items()}
    if rows > 1 and sum(map(math.prod, shapes.values())) > 2 * sum(array.size for array in inputs.values()):
        return None
    return {alias: _resized(array, shapes[alias]) for alias, array in inputs.items()}


def _resized(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    return np.resize(array if array.size else np.full(1, b"" if array.dtype == object else 0, array.dtype), shape)


def _reason(error: Exception) -> str:
    """What an error says, as a caller may read it: one line, not without end, that names no node of the graph."""
    for line in str(error).splitlines():
        if text := _NODE.sub("", line).strip():
            return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + "..."
    return type(error).__name__
