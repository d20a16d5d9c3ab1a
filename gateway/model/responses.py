"""What the model server can respond: the model's metadata, predictions, and the ways in which it fails."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brain_tumor import contract
from brain_tumor.metadata import MetadataError, ModelMetadata
from serving_api.messages import PredictResponse
from serving_api.tensors import TensorError, to_array


class ModelServerProblem(Exception):
    """No usable response; ``code`` says why in one word, the message is for the log."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class ModelUnavailable(ModelServerProblem):
    """No replica responds."""


class ModelOverloaded(ModelServerProblem):
    """The replicas take no more work."""


class ModelTooSlow(ModelServerProblem):
    """No response within the deadline."""


class ModelError(ModelServerProblem):
    """A response that means a wrong model or a wrong configuration."""


class ModelMismatch(ModelError):
    """A response that another model than the expected one would give."""


@dataclass(frozen=True)
class ServedModel:
    """One version of the model, as the model server has it.

    Attributes:
        name: The name that the model server knows the model by.
        version: The number of the version.
        metadata: The model's description of itself.
    """

    name: str
    version: int
    metadata: ModelMetadata

    def accepts_images_of(self, other: "ServedModel") -> bool:
        """Whether images that were prepared for the other model suit this one."""
        return self.metadata.image == other.metadata.image


@dataclass(frozen=True)
class Prediction:
    """A model's prediction for a batch; arrays are float32.

    Attributes:
        model: The model that made it.
        probabilities: Shape (batch, class), in the order of the metadata's class names.
        out_of_distribution: Shape (batch,), the OOD scores.
        activation_maps: Shape (batch, map height, map width, class); None if they were not asked for.
    """

    model: ServedModel
    probabilities: NDArray[np.float32]
    out_of_distribution: NDArray[np.float32]
    activation_maps: NDArray[np.float32] | None


def read_metadata(response: PredictResponse) -> ModelMetadata:
    """Read the metadata in a response of the signature ``describe``.

    Raises:
        ModelError: There is no metadata, or it cannot be used.
    """
    try:
        array = to_array(response.outputs[contract.METADATA])
        return ModelMetadata.from_json(array.item())
    except (TensorError, MetadataError, TypeError, ValueError) as error:
        raise ModelError("BAD_METADATA", str(error)) from None


def read_prediction(response: PredictResponse, model: ServedModel, batch: int, explained: bool) -> Prediction:
    """Read a response of the signature ``serving_default``; check every array against the model's metadata.

    Args:
        response: The model server's response.
        model: The model that made it.
        batch: How many images were sent.
        explained: Whether activation maps were asked for.

    Raises:
        ModelMismatch: The arrays' shapes do not suit the metadata.
        ModelError: The values are no probabilities, or not finite.
    """
    classes = len(model.metadata.class_names)
    probabilities = _read_array(response, contract.PROBABILITIES, (batch, classes))
    if (probabilities < 0).any() or (probabilities > 1).any():
        raise ModelError("BAD_RESPONSE", f"{contract.PROBABILITIES} are not within 0 to 1")
    return Prediction(
        model,
        probabilities,
        _read_array(response, contract.OUT_OF_DISTRIBUTION, (batch,)),
        _read_array(response, contract.ACTIVATION_MAPS, (batch, None, None, classes)) if explained else None,
    )


def _read_array(response: PredictResponse, name: str, shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    try:
        array = to_array(response.outputs[name])
    except TensorError as error:
        raise ModelError("BAD_RESPONSE", f"{name}: {error}") from None
    fits = array.ndim == len(shape) and all(
        size == expected if expected is not None else size > 0
        for size, expected in zip(array.shape, shape, strict=True)
    )
    if not fits:
        raise ModelMismatch("BAD_RESPONSE", f"{name} has shape {array.shape}, expected {shape}")
    if array.dtype != np.float32 or not np.isfinite(array).all():
        raise ModelError("BAD_RESPONSE", f"{name} must be finite numbers of type float32")
    return array
