"""The written SavedModel, loaded again and compared with the model itself, before it may be served."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from brain_tumor import contract
from brain_tumor.metadata import ENERGY, ModelMetadata
from converter.check.labelled import images_in, prepared
from converter.errors import ConversionError
from converter.graph.head import Head, softmax
from converter.graph.scaling import network_input
from converter.read.network import Network

# Another order of operations rounds differently: 2e-5 to 4e-5 is usual for deep models.
PROBABILITY_TOLERANCE = 1e-4
# Of a logit or the energy, relative to the largest of them (or to 1): it moves a probability by at most a quarter.
LOGIT_TOLERANCE = 4 * PROBABILITY_TOLERANCE
_USUAL_LOGIT = 100.0  # float32 rounds far larger ones too coarsely for a probability
SYNTHETIC_IMAGES = 16
MAX_SUPPLIED_IMAGES = 256
_BATCH = 4  # images at once; it bounds the memory for the activations of a large model
_SEED = 0


@dataclass(frozen=True)
class Expected:
    """The model's own outputs for the images.

    Attributes:
        logits: float64 (image, class).
        probabilities: float64 (image, class), at temperature 1.
    """

    logits: NDArray[np.float64]
    probabilities: NDArray[np.float64]


def synthetic_images(height: int, width: int) -> NDArray[np.uint8]:
    """Noise and smooth gradients, half each, the same at every call: uint8 (image, height, width, 3)."""
    random = np.random.default_rng(_SEED)
    noise = random.integers(0, 256, (SYNTHETIC_IMAGES // 2, height, width, 3), dtype=np.uint8)
    y, x = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    corners = random.uniform(0, 255, (SYNTHETIC_IMAGES // 2, 4, 1, 1, 3))
    smooth = [(1 - y) * ((1 - x) * a + x * b) + y * ((1 - x) * c + x * d) for a, b, c, d in corners]
    return np.concatenate([noise, np.rint(smooth).astype(np.uint8)])


def supplied_images(folder: Path, metadata: ModelMetadata) -> NDArray[np.uint8]:
    """The images of a folder and its subfolders, preprocessed as in the gateway: uint8 (image, height, width, 3).

    Of more than ``MAX_SUPPLIED_IMAGES`` it takes a part, spread evenly.

    Raises:
        ConversionError: There are none, or one cannot be used.
    """
    paths = images_in(folder)
    if not paths:
        raise ConversionError(f"{folder}: no images there to verify with")
    step = -(-len(paths) // MAX_SUPPLIED_IMAGES)
    return prepared(metadata.image, paths[::step])


def expected_outputs(network: Network, head: Head, scaling: str, images: NDArray[np.uint8]) -> Expected:
    """Run the model itself, and its graph up to the logits, which the model itself may not return.

    Args:
        network: The model as it was read.
        head: The unchanged head of that model.
        scaling: One of ``brain_tumor.metadata.SCALINGS``, which the model leaves to its caller.
        images: uint8 (image, height, width, 3).

    Raises:
        ConversionError: The two disagree, or a number is not finite.
    """
    logit_batches, output_batches = [], []
    for batch in _batches(images):
        output_batches.append(network.predict(network_input(batch, head.channels, scaling, "float32")))
        logit_batches.append(head.run(network_input(batch, head.channels, scaling, head.dtype))[0])
    logits = _numbers(logit_batches)
    probabilities = head.probabilities(_numbers(output_batches))
    what = f"probability of the split-off softmax{_hint(logits)}"
    _compare(what, softmax(logits), probabilities, PROBABILITY_TOLERANCE)
    return Expected(logits, probabilities)


def verify(folder: Path, expected: Expected, head: Head, metadata: ModelMetadata, images: NDArray[np.uint8]) -> float:
    """Load a SavedModel and compare every output; the largest difference in probability.

    Args:
        folder: The SavedModel.
        expected: The model's own outputs for the same images.
        head: The model's head, for the bias that the activation maps leave out.
        metadata: The complete metadata.
        images: uint8 (image, height, width, 3).

    Raises:
        ConversionError: An output differs by more than its tolerance, or predicts another class.
    """
    saved = tf.saved_model.load(str(folder))
    described = saved.signatures[contract.DESCRIBE_SIGNATURE](**{contract.QUERIES: tf.constant(["", ""])})
    if [text.decode() for text in described[contract.METADATA].numpy()] != [metadata.to_json()] * 2:
        raise ConversionError("the SavedModel does not describe itself by its metadata")
    predict = saved.signatures[contract.PREDICT_SIGNATURE]
    batches = [predict(images=batch) for batch in _batches(images)]
    outputs = {name: _numbers([batch[name] for batch in batches]) for name in batches[0]}

    logits = expected.logits
    probabilities = softmax(logits / metadata.temperature)
    tolerance = LOGIT_TOLERANCE * max(1.0, np.abs(logits).max())
    what = f"probability{_hint(logits)}"
    difference = _compare(what, outputs[contract.PROBABILITIES], probabilities, PROBABILITY_TOLERANCE)
    score = -np.logaddexp.reduce(logits, axis=-1) if head.ood_score == ENERGY else -logits.max(-1)
    _compare(head.ood_score, outputs[contract.OUT_OF_DISTRIBUTION], score, tolerance)
    if head.explains:
        _compare("activation map", outputs[contract.ACTIVATION_MAPS].mean((1, 2)) + head.bias(), logits, tolerance)
    ordered = np.sort(probabilities, -1)
    clear = ordered[:, -1] - ordered[:, -2] > PROBABILITY_TOLERANCE  # else rounding may decide the class
    if (outputs[contract.PROBABILITIES].argmax(-1) != probabilities.argmax(-1))[clear].any():
        raise ConversionError("the SavedModel predicts another class than the model itself; nothing was published")
    return difference


def _batches(images: NDArray[np.uint8]) -> list[tf.Tensor]:
    return [tf.constant(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]


def _numbers(tensors: list[Any]) -> NDArray[np.float64]:
    numbers = np.concatenate([keras.ops.convert_to_numpy(tensor) for tensor in tensors]).astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ConversionError("the model's outputs are not finite numbers; its weights are damaged")
    return numbers


def _hint(logits: NDArray[np.float64]) -> str:
    largest = np.abs(logits).max()
    return f" (the logits reach {largest:.0f}: is the scaling right?)" if largest > _USUAL_LOGIT else ""


def _compare(what: str, actual: NDArray[np.float64], expected: NDArray[np.float64], tolerance: float) -> float:
    difference = float(np.abs(actual - expected).max())
    if difference > tolerance:
        raise ConversionError(
            f"the SavedModel and the model itself differ by {difference:.1e} in {what}, "
            f"more than {tolerance:.1e}; nothing was published"
        )
    return difference
