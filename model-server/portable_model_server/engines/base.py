"""The interface of an engine, which runs models: OpenVINO and TensorFlow stand behind it and can replace each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from portable_model_server.engines.saved_model import Signature
from serving_api.tensors import DTYPE_STRING, DTYPES

OPENVINO = "openvino"
TENSORFLOW = "tensorflow"


class EngineError(Exception):
    """The engine failed: at loading, it cannot run this model; at predicting, something broke.

    Attributes:
        code: The number of the status with which a call ends, as gRPC and TensorFlow number them; 13 is INTERNAL.
    """

    code = 13


class InvalidInputError(EngineError):
    """The model refuses these inputs; the message gives the reason to the caller."""

    code = 3  # INVALID_ARGUMENT


class UnsupportedError(EngineError):
    """The engine cannot compute this signature of the model, though others of it; the caller may read why."""

    code = 12  # UNIMPLEMENTED


class BusyError(EngineError):
    """Too many calls wait for the model; the caller may try again later."""

    code = 14  # UNAVAILABLE


@dataclass(frozen=True)
class Threads:
    """How many threads an engine may use; 0 leaves it to the CPU limit.

    Attributes:
        cpus: The CPU limit that the process really has (``cpu.cpu_limit``), at least 1.
        intra_op: Threads for one operation, ``--tensorflow_intra_op_parallelism``.
        inter_op: Operations that run at the same time, ``--tensorflow_inter_op_parallelism``.
    """

    cpus: int
    intra_op: int = 0
    inter_op: int = 0


class LoadedModel(Protocol):
    """A model that is ready to predict; safe to call from several threads at once."""

    @property
    def engine(self) -> str:
        """The name of the engine that runs it."""

    @property
    def precision(self) -> str:
        """What it computes with: ``FLOAT32`` or ``INT8`` of ``form``."""

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Every signature that can be called, by name."""

    @property
    def streams(self) -> int:
        """Predictions that it computes side by side, at least 1; further ones wait."""

    @property
    def paying_rows(self) -> int:
        """Rows of a batch up to which one prediction costs less than several; 1 where batches do not pay."""

    def predict(
        self, signature: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> dict[str, NDArray[Any]]:
        """Compute the named outputs, by alias, into arrays that the caller owns; strings have dtype object.

        The caller has checked that the signature and the outputs exist and are tensors of ``DTYPES``, and that the
        inputs are complete and of the declared dtypes. The engine checks the shapes.

        Raises:
            InvalidInputError: The model refuses the inputs.
            UnsupportedError: The engine cannot compute this signature.
            EngineError: The engine failed.
        """

    def close(self) -> None:
        """Give the memory back. The caller makes sure that no prediction runs now or later (``ServedModel``)."""


class Engine(Protocol):
    """Loads models."""

    @property
    def name(self) -> str:
        """``OPENVINO`` or ``TENSORFLOW``."""

    def load(self, path: Path) -> LoadedModel:
        """Read the SavedModel in a version's folder and make it ready to predict.

        Raises:
            SavedModelError: There is no readable SavedModel.
            EngineError: This engine cannot run it.
        """


def check_inputs(signature: Signature, inputs: Mapping[str, NDArray[Any]]) -> None:
    """Check inputs against the shapes that their signature declares; an empty input is refused too.

    Raises:
        InvalidInputError: An input does not fit; the message names it and its shape.
    """
    check_shapes(signature, inputs)
    for alias, array in inputs.items():
        if array.size == 0:
            raise InvalidInputError(f'input "{alias}" is empty: its shape is {_text(array.shape)}')


def check_shapes(signature: Signature, inputs: Mapping[str, NDArray[Any]]) -> None:
    """Check inputs against the shapes that their signature declares; a free size may be 0.

    Raises:
        InvalidInputError: An input does not fit; the message names it and its shape.
    """
    for alias, array in inputs.items():
        declared = signature.inputs[alias].shape
        if declared is not None and not (
            len(declared) == array.ndim
            and all(size in (-1, given) for size, given in zip(declared, array.shape, strict=True))
        ):
            raise InvalidInputError(f'input "{alias}": expected shape {_text(declared)}, got {_text(array.shape)}')


def without_rows(
    signature: Signature, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
) -> dict[str, NDArray[Any]] | None:
    """The outputs of no rows for inputs of no rows, where sizes that are free are 0 too.

    Returns:
        None if an input has rows, or if an output never has any.
    """
    if not inputs or any(not array.ndim or len(array) for array in inputs.values()):
        return None
    arrays = {}
    for alias in outputs:
        info = signature.outputs[alias]
        if not info.shape or info.shape[0] != -1 or info.dtype not in DTYPES:
            return None
        arrays[alias] = np.empty([max(size, 0) for size in info.shape], DTYPES[info.dtype][0])
    return arrays


def noise(signature: Signature, rows: int) -> dict[str, NDArray[Any]] | None:
    """Random inputs for a signature, the same at every call; None where none can be made up: strings, free sizes."""
    generator = np.random.default_rng(0)
    inputs = {}
    for alias, info in signature.inputs.items():
        sizes = (info.shape or (-1, -1))[1:]
        if info.dtype == DTYPE_STRING or info.dtype not in DTYPES or -1 in sizes:
            return None
        inputs[alias] = generator.integers(0, 256, (rows, *sizes), np.uint8).astype(DTYPES[info.dtype][0])
    return inputs


def shapes_text(inputs: Mapping[str, NDArray[Any]]) -> str:
    """The inputs' shapes for a message, such as ``images [1,24,24,3]``."""
    return ", ".join(f"{alias} {_text(array.shape)}" for alias, array in sorted(inputs.items()))


def _text(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
