"""What runs a model: the small interface behind which OpenVINO and TensorFlow are exchangeable."""

import ctypes
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from portable_model_server.saved_model import Signature

OPENVINO = "openvino"
TENSORFLOW = "tensorflow"


class EngineError(Exception):
    """The engine failed: at loading, this model is not for it; at predicting, something broke."""


class InvalidInputError(EngineError):
    """The model refuses these inputs; the message tells the caller why."""


@dataclass(frozen=True)
class Threads:
    """How many threads an engine may use; 0 leaves it to the CPU limit.

    Attributes:
        cpus: the CPU limit that the process really has (``cpu.cpu_limit``), at least 1.
        intra_op: threads for one operation, ``--tensorflow_intra_op_parallelism``.
        inter_op: operations (TensorFlow) or predictions (OpenVINO) side by side,
            ``--tensorflow_inter_op_parallelism``.
    """

    cpus: int
    intra_op: int = 0
    inter_op: int = 0


class LoadedModel(Protocol):
    """A model that is ready to answer; safe to call from several threads at once."""

    @property
    def engine(self) -> str:
        """The name of the engine that runs it."""

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Every signature it answers, by name."""

    def predict(
        self, signature: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> dict[str, NDArray[Any]]:
        """Compute the outputs named, by alias, into arrays of the caller's own; strings have dtype object.

        The caller has checked that the signature and the outputs exist and that the inputs are complete and of
        the declared dtypes; shapes are checked here.

        Raises:
            InvalidInputError: the model refuses the inputs.
            EngineError: the engine failed, or the model is closed.
        """

    def close(self) -> None:
        """Give its memory back once the predictions that run have ended; later ones raise EngineError."""


class Engine(Protocol):
    """Loads models."""

    @property
    def name(self) -> str:
        """``OPENVINO`` or ``TENSORFLOW``."""

    def load(self, path: Path) -> LoadedModel:
        """Read the SavedModel in a version's folder and make it ready to answer.

        Raises:
            SavedModelError: there is no readable SavedModel.
            EngineError: this engine cannot run it.
        """


def check_inputs(signature: Signature, inputs: Mapping[str, NDArray[Any]]) -> None:
    """Hold inputs against the shapes that their signature declares; an empty one fits none.

    Raises:
        InvalidInputError: one does not fit; the message names it and its shape.
    """
    for alias, array in inputs.items():
        declared = signature.inputs[alias].shape
        if declared is not None and not (
            len(declared) == array.ndim
            and all(size in (-1, given) for size, given in zip(declared, array.shape, strict=True))
        ):
            raise InvalidInputError(f'input "{alias}": expected shape {_text(declared)}, got {_text(array.shape)}')
        if array.size == 0:
            raise InvalidInputError(f'input "{alias}" is empty: its shape is {_text(array.shape)}')


def shapes_text(inputs: Mapping[str, NDArray[Any]]) -> str:
    """The inputs' shapes for a message, such as ``images [1,24,24,3]``."""
    return ", ".join(f"{alias} {_text(array.shape)}" for alias, array in sorted(inputs.items()))


def _text(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


class Usage:
    """Lets a model be closed only when no prediction runs on it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._closed = False

    @contextmanager
    def prediction(self) -> Iterator[None]:
        """Hold the model open for one prediction.

        Raises:
            EngineError: the model is closed.
        """
        with self._changed:
            if self._closed:
                raise EngineError("the model is closed")
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Refuse new predictions and wait for those that run."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._running == 0)


def trim_heap() -> None:
    """Hand back to the system what reading or holding a model left free in the heap: 80 to 700 MB with Xception."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc
        libc.malloc_trim(0)
