"""The model's last layers: where its logits are, and whether class activation maps are exact for it."""

from dataclasses import dataclass
from typing import Any

import keras

from converter.errors import ConversionError
from converter.layer_copy import copy_layer
from converter.program import Program, Step


@dataclass(frozen=True)
class Head:
    """A classifier's end.

    Attributes:
        program: the model's, ending in logits (batch, class) in place of what the model ends in.
        gives_logits: whether the Keras model itself ends in logits, not in probabilities.
        features: (batch, h, w, channel), what is averaged and then weighted; None where maps would not be exact.
        classifier: the dense layer that weights them; None likewise.
    """

    program: Program
    gives_logits: bool
    features: keras.KerasTensor | None = None
    classifier: keras.layers.Dense | None = None


def find_head(program: Program) -> Head:
    """Split off the softmax, and look for global average pooling followed by one dense layer.

    With that head the map of a class is the features weighted by the class' column, and the map's mean plus the bias
    is the logit: no approximation (Zhou et al. 2016, https://arxiv.org/abs/1512.04150).

    Args:
        program: without inactive layers.

    Raises:
        ConversionError: the model ends in neither a softmax nor a layer without activation.
    """
    step, output = _producer(program, program.output)
    activation = _activation(step)
    if activation not in ("softmax", "linear"):
        raise ConversionError(
            f"the model ends in {step.run.name} ({activation or type(step.run).__name__}); "
            "it must end in a softmax over the classes, or in a Dense layer without activation"
        )
    if activation == "softmax" and type(step.run) is keras.layers.Dense:
        linear = copy_layer(step.run, step.args[0].shape, step.run.get_weights(), activation="linear")
        logits = Step(linear, step.args, step.kwargs, output)
        program = program.replace({step: (logits,)})
    elif activation == "softmax":
        logits, output = _producer(program, step.args[0])
    else:
        logits = step
    program = Program(program.input, tuple(program.ancestors(output)), output)
    pooling = program.producer(logits.args[0])
    exact = (
        type(logits.run) is keras.layers.Dense
        and logits.run.activation is keras.activations.linear
        and pooling is not None
        and type(pooling.run) is keras.layers.GlobalAveragePooling2D
        and pooling.run.data_format == "channels_last"
        and not pooling.run.keepdims
    )
    maps: dict[str, Any] = {"features": pooling.args[0], "classifier": logits.run} if pooling and exact else {}
    return Head(program, activation == "linear", **maps)


def _producer(program: Program, tensor: keras.KerasTensor) -> tuple[Step, keras.KerasTensor]:
    """What makes a tensor, and the tensor: the one before where only a linear Activation lies between."""
    step = program.producer(tensor)
    if step is None:
        raise ConversionError("the model has no layers")
    if type(step.run) is keras.layers.Activation and step.run.activation is keras.activations.linear:
        return _producer(program, step.args[0])
    return step, tensor


def _activation(step: Step) -> str | None:
    """The name of the activation a step ends in; None where it has none to name."""
    if type(step.run).__name__ == "Softmax":  # the layer, or keras.ops.softmax
        return "softmax"
    activation = getattr(step.run, "activation", None)
    return getattr(activation, "__name__", None)
