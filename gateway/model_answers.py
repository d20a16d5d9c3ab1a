"""What the model server can answer: the model's metadata, predictions, and the ways in which it fails."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain_tumor import contract
from brain_tumor.metadata import MetadataError, ModelMetadata
from serving_api.tensors import TensorError, to_array


class ModelServerProblem(Exception):
    """No usable answer; ``code`` says why in one word, the message is for the log."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class ModelUnavailable(ModelServerProblem):
    """No replica answers."""


class ModelOverloaded(ModelServerProblem):
    """The replicas take no more work."""


class ModelTooSlow(ModelServerProblem):
    """No answer within the deadline."""


class ModelError(ModelServerProblem):
    """An answer that means a wrong model or a wrong configuration."""


class ModelMismatch(ModelError):
    """An answer that another model than the expected one would give."""


@dataclass(frozen=True)
class ServedModel:
    """One version of the model, as the model server has it."""

    name: str
    version: int
    metadata: ModelMetadata

    def takes_the_images_of(self, other: "ServedModel") -> bool:
        """Whether images prepared for the other model suit this one."""
        mine, others = self.metadata, other.metadata
        return (mine.height, mine.width, mine.resampling) == (others.height, others.width, others.resampling)


@dataclass(frozen=True)
class Prediction:
    """What a model made of a batch; arrays are float32.

    Attributes:
        model: the one that answered.
        probabilities: (batch, class), in the order of the metadata's class names.
        out_of_distribution: (batch,)
        activation_maps: (batch, map height, map width, class), or None if not asked for.
    """

    model: ServedModel
    probabilities: NDArray[np.float32]
    out_of_distribution: NDArray[np.float32]
    activation_maps: NDArray[np.float32] | None


def read_metadata(response: Any) -> ModelMetadata:
    """The metadata in the answer of the signature ``describe``.

    Raises:
        ModelError: there is none, or one that cannot be used.
    """
    try:
        array = to_array(response.outputs[contract.METADATA])
        return ModelMetadata.from_json(array.item())
    except (TensorError, MetadataError, TypeError, ValueError) as error:
        raise ModelError("BAD_CARD", str(error)) from None


def read_prediction(response: Any, model: ServedModel, batch: int, explained: bool) -> Prediction:
    """The answer of the signature ``serving_default``, with every array checked against the model's metadata.

    Raises:
        ModelMismatch: the arrays' shapes do not suit the metadata.
        ModelError: the values are no probabilities, or not finite.
    """
    classes = len(model.metadata.class_names)
    probabilities = _read_array(response, contract.PROBABILITIES, (batch, classes))
    if (probabilities < 0).any() or (probabilities > 1).any():
        raise ModelError("BAD_ANSWER", f"{contract.PROBABILITIES} are not within 0 to 1")
    return Prediction(
        model,
        probabilities,
        _read_array(response, contract.OUT_OF_DISTRIBUTION, (batch,)),
        _read_array(response, contract.ACTIVATION_MAPS, (batch, None, None, classes)) if explained else None,
    )


def _read_array(response: Any, name: str, shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    try:
        array = to_array(response.outputs[name])
    except TensorError as error:
        raise ModelError("BAD_ANSWER", f"{name}: {error}") from None
    fits = array.ndim == len(shape) and all(
        size == wanted if wanted is not None else size > 0 for size, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits:
        raise ModelMismatch("BAD_ANSWER", f"{name} has shape {array.shape}, expected {shape}")
    if array.dtype != np.float32 or not np.isfinite(array).all():
        raise ModelError("BAD_ANSWER", f"{name} must be finite numbers of type float32")
    return array
