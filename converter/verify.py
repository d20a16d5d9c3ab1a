"""What was written, loaded again and held against the Keras model, before anybody may serve it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from brain_tumor import contract
from brain_tumor.image import SUFFIXES, ImageError, Preprocessor
from brain_tumor.metadata import ModelMetadata
from converter.errors import ConversionError
from converter.head import Head
from converter.scaling import scaler

# Folding changes the order of roundings: 2e-5 to 4e-5 is usual for deep models.
PROBABILITY_TOLERANCE = 1e-4
# Of a logit or the energy, relative to the largest of them (or to 1): it moves a probability by at most a quarter.
LOGIT_TOLERANCE = 4 * PROBABILITY_TOLERANCE
MADE_IMAGES = 16
MAX_GIVEN_IMAGES = 256
_BATCH = 4  # images at once: what a large model needs of memory for its activations
_SEED = 0


@dataclass(frozen=True)
class Expected:
    """What the Keras model says of images: logits and probabilities (temperature 1), float64 (image, class)."""

    logits: NDArray[np.float64]
    probabilities: NDArray[np.float64]


def made_images(height: int, width: int) -> NDArray[np.uint8]:
    """Noise and smooth gradients, half each, the same at every call: uint8 (image, height, width, 3)."""
    random = np.random.default_rng(_SEED)
    noise = random.integers(0, 256, (MADE_IMAGES // 2, height, width, 3), dtype=np.uint8)
    y, x = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    corners = random.uniform(0, 255, (MADE_IMAGES // 2, 4, 1, 1, 3))
    smooth = [(1 - y) * ((1 - x) * a + x * b) + y * ((1 - x) * c + x * d) for a, b, c, d in corners]
    return np.concatenate([noise, np.rint(smooth).astype(np.uint8)])


def given_images(folder: Path, metadata: ModelMetadata) -> NDArray[np.uint8]:
    """The images of a folder and its subfolders, as the gateway would send them; spread evenly if there are many.

    Raises:
        ConversionError: there are none, or one cannot be used.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ConversionError(f"{folder}: no images there to verify with")
    preprocessor = Preprocessor(metadata.height, metadata.width, metadata.resampling)
    chosen = paths[:: -(-len(paths) // MAX_GIVEN_IMAGES)]
    images = []
    for path in chosen:
        try:
            images.append(preprocessor.from_bytes(path.read_bytes()))
        except (ImageError, OSError) as error:
            raise ConversionError(f"{path}: {error}") from None
    return np.concatenate(images)


def expected(model: keras.Model, head: Head, scaling: str, images: NDArray[np.uint8]) -> Expected:
    """Ask the Keras model, and, as it may hide its logits, the unchanged steps that lead to them.

    Args:
        model: as it was loaded.
        head: found in that model, before anything was folded or merged.
        scaling: one of ``brain_tumor.metadata.SCALINGS``, which the model leaves to its caller.
        images: uint8 (image, height, width, 3).

    Raises:
        ConversionError: the two disagree, or a number is not finite.
    """
    scale = scaler(scaling)
    logits, outputs = [], []
    for batch in _batches(images):
        pixels = scale(tf.cast(batch, tf.float32))
        outputs.append(model(pixels, training=False))
        logits += head.program.run(tf.cast(pixels, head.program.input.dtype), head.program.output)
    found = _numbers(logits)
    given = _numbers(outputs)
    probabilities = _softmax(given) if head.gives_logits else given
    _compare("probability of the split-off softmax", _softmax(found), probabilities, PROBABILITY_TOLERANCE)
    return Expected(found, probabilities)


def verify(folder: Path, expected: Expected, head: Head, metadata: ModelMetadata, images: NDArray[np.uint8]) -> float:
    """Load a SavedModel and compare every output; the largest difference in probability.

    Args:
        folder: the SavedModel.
        expected: what the Keras model says of the same images.
        head: of the model, for the bias that the activation maps leave out.
        metadata: complete.
        images: uint8 (image, height, width, 3).

    Raises:
        ConversionError: an output is missing, differs by more than its tolerance, or names another class.
    """
    saved = tf.saved_model.load(str(folder))
    if saved.signatures[contract.DESCRIBE_SIGNATURE]()[contract.METADATA].numpy().decode() != metadata.to_json():
        raise ConversionError("the SavedModel does not describe itself by its metadata")
    predict = saved.signatures[contract.PREDICT_SIGNATURE]
    answers = [predict(images=batch) for batch in _batches(images)]
    got = {name: _numbers([answer[name] for answer in answers]) for name in answers[0]}

    logits = expected.logits
    wanted = _softmax(logits / metadata.temperature)
    scale = LOGIT_TOLERANCE * max(1.0, np.abs(logits).max())
    difference = _compare("probability", got[contract.PROBABILITIES], wanted, PROBABILITY_TOLERANCE)
    _compare("energy", got[contract.OUT_OF_DISTRIBUTION], -_logsumexp(logits), scale)
    if head.classifier is not None:
        bias = head.classifier.bias.numpy() if head.classifier.use_bias else 0.0
        _compare("activation map", got[contract.ACTIVATION_MAPS].mean((1, 2)) + bias, logits, scale)
    ordered = np.sort(wanted, -1)
    clear = ordered[:, -1] - ordered[:, -2] > PROBABILITY_TOLERANCE  # else rounding may choose either
    if (got[contract.PROBABILITIES].argmax(-1) != wanted.argmax(-1))[clear].any():
        raise ConversionError("the SavedModel names another class than the Keras model; nothing was published")
    return difference


def _batches(images: NDArray[np.uint8]) -> list[tf.Tensor]:
    return [tf.constant(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]


def _numbers(tensors: list[Any]) -> NDArray[np.float64]:
    numbers = np.concatenate([keras.ops.convert_to_numpy(tensor) for tensor in tensors]).astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ConversionError("the model answers with numbers that are not finite; its weights are damaged")
    return numbers


def _compare(what: str, got: NDArray[np.float64], wanted: NDArray[np.float64], tolerance: float) -> float:
    difference = float(np.abs(got - wanted).max())
    if difference > tolerance:
        raise ConversionError(
            f"the SavedModel and the Keras model differ by {difference:.1e} in {what}, "
            f"more than {tolerance:.1e}; nothing was published"
        )
    return difference


def _logsumexp(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.logaddexp.reduce(logits, axis=-1)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(logits - _logsumexp(logits)[:, None])
