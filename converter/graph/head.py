"""The end of a classifier: what its output is, and how the logits, the maps and the OOD score follow from it.

A subclass knows the graph before it. Whatever made the model, the served outputs are these.
"""

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from brain_tumor.metadata import ENERGY, MAX_PROBABILITY
from converter.errors import ConversionError

_TOLERANCE = 1e-3  # of a sum of probabilities; float16 rounds that coarsely
_SMALLEST = float(np.finfo(np.float32).tiny)  # a probability of 0 has no logarithm


class Output(StrEnum):
    """What a model's own output is."""

    LOGITS = "logits"  # the softmax, or for one output the sigmoid, is left to the caller
    SOFTMAX = "softmax"  # of logits that the graph contains
    SIGMOID = "sigmoid"  # of one logit that the graph contains: the probability of the second of two classes
    PROBABILITIES = "probabilities"  # and no logits anywhere, as in an average of several models


class Head(ABC):
    """The end of one classifier.

    Attributes:
        output: What the model's own output is.
        channels: Channels of the images that the graph takes: 3, or 1 for grey levels.
        dtype: The dtype of the images that the graph takes.
    """

    output: Output
    channels: int
    dtype: str

    @property
    @abstractmethod
    def explains(self) -> bool:
        """Whether class activation maps are exact."""

    @property
    @abstractmethod
    def weights(self) -> list[keras.Variable]:
        """The weights that the outputs depend on, each of them once; empty where they are constants of the graph."""

    @property
    @abstractmethod
    def scales(self) -> bool | None:
        """Whether the graph changes the pixels before its first convolution; None where it has no convolution."""

    @abstractmethod
    def folded(self) -> tuple["Head", int]:
        """The same head with batch normalizations merged into the layers before them, and the number of them."""

    @abstractmethod
    def _run(self, pixels: Any) -> tuple[Any, Any | None]:
        """The logits as the graph has them, (batch, output), and their maps, (batch, h, w, output), without the bias.

        The logits are the probabilities themselves where the output is ``PROBABILITIES``.
        """

    @property
    @abstractmethod
    def _bias(self) -> NDArray[np.float32]:
        """What the maps' means lack of the logits, (output,); only where there are maps."""

    @property
    def ood_score(self) -> str:
        """How the OOD score is computed: one of ``brain_tumor.metadata.OOD_SCORES``."""
        return MAX_PROBABILITY if self.output is Output.PROBABILITIES else ENERGY

    def run(self, pixels: Any) -> tuple[Any, Any | None]:
        """Compute the logits of the classes, (batch, class), and the activation maps, (batch, h, w, class), or None.

        Args:
            pixels: What the graph takes, (batch, height, width, channels): scaled, and of ``dtype``.
        """
        end, maps = self._run(pixels)
        return self._of_classes(end), None if maps is None else self._of_classes(maps)

    def bias(self) -> NDArray[np.float64]:
        """What the mean of a class' activation map lacks of its logit: (class,)."""
        return np.asarray(self._of_classes(tf.constant(self._bias)), np.float64)

    def probabilities(self, own: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probabilities of the classes, (image, class), from the model's own outputs, (image, output)."""
        if self.output is Output.LOGITS:
            return softmax(np.asarray(self._of_classes(tf.constant(own))))
        return np.concatenate([1 - own, own], -1) if own.shape[-1] == 1 else own

    def _of_classes(self, end: Any) -> Any:
        """One number for each class from one for each output: a single output stands for two classes."""
        single = end.shape[-1] == 1
        if self.output is Output.PROBABILITIES:
            end = tf.concat([1 - end, end], -1) if single else end
            return tf.math.log(tf.maximum(end, _SMALLEST))
        # sigmoid(x) is the second part of softmax([-x/2, x/2]), whose energy is lowest where either class is certain.
        return tf.concat([-end / 2, end / 2], -1) if single else end


def are_probabilities(outputs: NDArray[np.float64]) -> bool:
    """Whether outputs, (image, output), can only be probabilities: of one class, or of all classes together."""
    within = outputs.min() >= -_TOLERANCE and outputs.max() <= 1 + _TOLERANCE
    return bool(within and (outputs.shape[-1] == 1 or np.abs(outputs.sum(-1) - 1).max() <= _TOLERANCE))


def unknown_end(end: str) -> ConversionError:
    """The error for a model whose output is of none of the kinds that ``Output`` lists.

    Args:
        end: What it ends in.
    """
    return ConversionError(
        f"the model ends in {end}; it must end in a softmax over the classes, in one sigmoid for two classes, in a "
        "Dense layer without activation, or in an average of such probabilities"
    )


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The softmax over the last axis, without overflow."""
    return np.exp(logits - np.logaddexp.reduce(logits, axis=-1)[..., None])
