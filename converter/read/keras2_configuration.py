"""What the configuration of a Keras 2 model may hold, looked at before tf-keras builds the model from it.

tf-keras calls any function of TensorFlow's API that a configuration names, while it loads a file.
"""

import re
from typing import Any

from converter.errors import ConversionError
from converter.read.configuration import objects, own_layer

_CALLS = ("TFOpLambda", "SlicingOpLambda")  # a function of TensorFlow's API by its name, such as math.multiply
_METHODS = ("ClassMethod", "InstanceMethod", "InstanceProperty")
# Functions that compute, of tensors. Others of the API delete files, or run Python.
_COMPUTES = re.compile(
    r"(compat\.v1\.)?((math|nn|image|linalg|signal|__operators__)\.\w+|(keras\.backend|keras\.activations)\.\w+|"
    r"(abs|add|argmax|argmin|boolean_mask|broadcast_to|cast|clip_by_value|concat|convert_to_tensor|cumsum|divide|"
    r"einsum|equal|exp|expand_dims|fill|floor|gather|gather_nd|greater|greater_equal|identity|less|less_equal|"
    r"logical_and|logical_not|logical_or|matmul|maximum|minimum|multiply|negative|norm|not_equal|one_hot|ones|"
    r"ones_like|pad|pow|range|rank|realdiv|repeat|reshape|reverse|roll|round|shape|sigmoid|sign|size|slice|split|"
    r"sqrt|square|squeeze|stack|stop_gradient|strided_slice|subtract|tanh|tensordot|tile|transpose|truediv|unstack|"
    r"where|zeros|zeros_like|reduce_\w+))"
)
_POLICIES = ("Policy", "PolicyV1", "DTypePolicy")
_OTHER_FLOATS = ("float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16")


def check(config: Any) -> None:
    """Refuse what only Keras 2 would call; ``configuration.check`` has refused what Keras 3 would, too.

    Raises:
        ConversionError: A layer is of such a kind; the message names it.
    """
    for part in objects(config):
        name, inner = part["class_name"], part.get("config")
        if name == "function":  # Keras' own are plain strings
            raise ConversionError(own_layer(inner))
        if name in _METHODS:
            raise ConversionError(own_layer(name))
        function = inner.get("function") if isinstance(inner, dict) else None
        if name in _CALLS and not _COMPUTES.fullmatch(str(function)):
            raise ConversionError(f"calls tf.{function} in a layer; only functions that compute are taken")


def in_float32(model: Any) -> Any:
    """The model itself if it computes in float32 already, else a copy that does, with the same weights."""
    layers = [layer for layer in model.submodules if hasattr(layer, "compute_dtype")]
    if not any(dtype in _OTHER_FLOATS for layer in layers for dtype in (layer.compute_dtype, layer.variable_dtype)):
        return model
    copy = type(model).from_config(_with_float32(model.get_config()))
    copy.set_weights(model.get_weights())
    return copy


def _with_float32(config: Any) -> Any:
    """A configuration with every policy and dtype in it that is another float set to float32."""
    if isinstance(config, dict):
        if config.get("class_name") in _POLICIES:
            return "float32"
        return {
            key: "float32" if key == "dtype" and value in _OTHER_FLOATS else _with_float32(value)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return type(config)(_with_float32(value) for value in config)
    return config
