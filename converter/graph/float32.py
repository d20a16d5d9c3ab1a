"""A model that was trained in another precision, rebuilt in float32.

A CPU computes float16 slowly, and its precision is too low for a probability. A ``.keras`` file keeps the policy of
each layer (such as ``mixed_float16``), so loading alone does not change it.
"""

from collections.abc import Iterator
from typing import Any

import keras

from converter.errors import ConversionError


def in_float32(model: keras.Model) -> keras.Model:
    """The model itself if it computes in float32 already, else a copy that does, with the same weights.

    Raises:
        ConversionError: A layer is quantised, so its weights are no longer those that were trained.
    """
    layers = list(_layers(model))
    for layer in layers:
        if getattr(layer, "quantization_mode", None) is not None:
            raise ConversionError(f"layer {layer.name} is quantised; convert the model as it was before quantize()")
    return model if all(layer.dtype_policy.name == "float32" for layer in layers) else float32_copy(model)


def float32_copy(model: keras.Model) -> keras.Model:
    """A copy of a model, layer by layer, that computes in float32 whatever the model computes in."""
    copies: list[tuple[keras.Layer, keras.Layer]] = []

    def copy(operation: Any) -> Any:
        if not isinstance(operation, keras.Layer):
            return operation  # a function such as keras.ops.add: no weights, and it follows its inputs' dtype
        copies.append((operation, type(operation).from_config(_with_float32(operation.get_config()))))
        return copies[-1][1]

    rebuilt = keras.models.clone_model(model, clone_function=copy, recursive=True)
    for old, new in copies:
        new.set_weights(old.get_weights())
        if isinstance(new, keras.layers.Normalization):
            new.finalize_state()  # it computes with constants, which Keras makes of its weights only when it loads them
    return rebuilt


def _layers(model: Any) -> Iterator[keras.Layer]:
    for layer in model.layers:
        yield from _layers(layer) if isinstance(layer, keras.Model) else (layer,)


def _with_float32(config: Any) -> Any:
    """A layer's configuration with every policy in it, those of wrapped layers too, set to float32."""
    if isinstance(config, dict):
        if config.get("class_name") in ("DTypePolicy", "FloatDTypePolicy"):
            return "float32"
        return {key: _with_float32(value) for key, value in config.items()}
    return [_with_float32(value) for value in config] if isinstance(config, list) else config
