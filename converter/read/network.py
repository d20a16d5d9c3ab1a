"""A model as it was read: whoever wrote it, it takes images of one shape and gives its own output."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from converter.errors import ConversionError, SeveralError
from converter.graph.head import Head
from converter.graph.inactive import drop_inactive
from converter.graph.keras_graph import flatten
from converter.graph.keras_head import KerasHead, find_head


@dataclass(frozen=True)
class Selection:
    """Which part of a model with several is meant; None where there is only one.

    Attributes:
        signature: The name of a SavedModel's signature.
        input: The name of an input.
        output: The name of an output, or of the layer that makes it.
    """

    signature: str | None = None
    input: str | None = None
    output: str | None = None


def choose(what: str, names: Iterable[str], named: str | None, makers: Iterable[str] = ()) -> int:
    """Which of a model's signatures, inputs or outputs is meant.

    Args:
        what: One of ``Selection``'s attributes.
        names: The names of all of them.
        named: The one that is named; None for the only one.
        makers: The names of the layers that make them, which may name them, too.

    Raises:
        SeveralError: There are several, and none is named.
        ConversionError: None has that name.
    """
    listed = list(names)
    for known in (listed, list(makers)):
        if named is not None and known.count(named) == 1:
            return known.index(named)
    if named is None and len(listed) == 1:
        return 0
    if named is None:
        raise SeveralError(what, listed)
    has = f"the model has the {what}s {', '.join(listed)}" if len(listed) > 1 else f"its only {what} is {listed[0]}"
    raise ConversionError(f"no {what} {named}: {has}; name one under source.{what} in the description")


def refuse_signature(selection: Selection) -> None:
    """Refuse a signature's name for a Keras model.

    Raises:
        ConversionError: One is named.
    """
    if selection.signature is not None:
        raise ConversionError("source.signature is for a SavedModel; a Keras model has none")


def needs_all_inputs(names: Sequence[str]) -> ConversionError:
    """The error for a Keras model whose output needs more than one of its inputs."""
    return ConversionError(
        f"the model takes {len(names)} inputs ({', '.join(names)}), and one image is all that it can be given"
    )


def check_shapes(taken: Sequence[int | None], given: Sequence[int | None]) -> None:
    """Refuse a Keras model that takes no images, or gives no classes.

    Args:
        taken: The shape of its input.
        given: The shape of its output.

    Raises:
        ConversionError: It does not.
    """
    if len(taken) != 4 or taken[3] not in (1, 3):
        raise ConversionError(f"the model takes {_shape(taken)}; it must take (None, height, width, 3)")
    if len(given) != 2:
        raise ConversionError(f"the model gives {_shape(given)}; it must give (None, classes)")


def _shape(shape: Sequence[int | None]) -> str:
    return f"({', '.join(map(str, shape))})"


class Network(ABC):
    """A model that was read.

    Attributes:
        height: Height of the images it takes, in pixels; None where it takes any.
        width: Width of them, likewise.
        channels: 3, or 1 for grey levels.
        outputs: How many numbers it gives for an image.
        origin: What the file says about itself, such as its format and the Keras that wrote it.
    """

    height: int | None
    width: int | None
    channels: int
    outputs: int
    origin: Mapping[str, str]

    @abstractmethod
    def predict(self, pixels: Any) -> Any:
        """The model's own output, (batch, output), computed by what reads its format, and not by the converter.

        Args:
            pixels: float32 (batch, height, width, channels), scaled.
        """

    @abstractmethod
    def head(self, height: int, width: int) -> Head:
        """The graph and its end, for images of one size.

        Raises:
            ConversionError: It is not of a kind that can be converted.
        """


class LayeredNetwork(Network):
    """A model of Keras 2 or 3, which say in the same way what they take and give.

    Attributes:
        model: It has one input, (batch, height, width, channels).
        index: Which of its outputs is meant.
    """

    model: Any
    index: int

    @property
    def height(self) -> int | None:  # type: ignore[override]
        """Height of the images it takes, in pixels."""
        return self.model.inputs[0].shape[1]

    @property
    def width(self) -> int | None:  # type: ignore[override]
        """Width of the images it takes, in pixels."""
        return self.model.inputs[0].shape[2]

    @property
    def channels(self) -> int:  # type: ignore[override]
        """Channels of the images it takes."""
        return int(self.model.inputs[0].shape[3])

    @property
    def outputs(self) -> int:  # type: ignore[override]
        """How many numbers it gives for an image."""
        return int(self.model.outputs[self.index].shape[-1])


@dataclass(frozen=True)
class KerasNetwork(LayeredNetwork):
    """A Keras 3 model in float32."""

    model: keras.Model
    origin: Mapping[str, str]
    index: int = 0

    def predict(self, pixels: Any) -> Any:
        """The model's own output, (batch, output)."""
        return keras.tree.flatten(self.model(pixels, training=False))[self.index]

    def head(self, height: int, width: int) -> KerasHead:
        """The flat graph without inactive layers, and its end."""
        return find_head(drop_inactive(flatten(self.model, height, width, self.index)))
