"""A model's configuration, as Keras wrote it: what stands in it is looked at, and mended, before anything is loaded.

Keras builds a model from this tree of JSON objects. Loading it is the moment when a file's code could run, and when
what another version of Keras wrote fails.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from converter.errors import ConversionError
from converter.graph.inactive import INACTIVE
from converter.read.backbones import backbone, of_module

_KERAS = ("keras", "tf_keras", "builtins")
_LAMBDAS = {"Lambda", "__lambda__"}
_OUTSIDE = {
    *("TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),
    *("StringLookup", "IntegerLookup", "IndexLookup", "TextVectorization"),  # their vocabulary may be a file's name
}
# Where Keras' own functions that compute are; others download and delete files.
_FUNCTIONS = re.compile(r"builtins|(tf_)?keras(\.src)?\.(activations|initializers|ops|regularizers|constraints)(\..*)?")
_MODELS = ("Functional", "Model", "Sequential")
_BUILD = "build the model from Keras' own layers that compute"
_EXPORT = "or export it where its code is, model.export('FOLDER'), and convert that folder"


def layer_names(config: Any) -> Iterator[str]:
    """The names of all layers and models in a configuration."""
    for part in objects(config):
        name = part["config"].get("name") if isinstance(part.get("config"), dict) else None
        if isinstance(name, str):
            yield name


def check(config: dict[str, Any]) -> None:
    """Refuse what is code and not data, and what is not Keras' own.

    Raises:
        ConversionError: A layer is of one of these kinds; the message names it.
    """
    for part in objects(config):
        name = str(part["class_name"])
        own_names = {known.rsplit(">", 1)[-1] for known in (name, str(part.get("registered_name")))}
        if own_names & _LAMBDAS:
            raise ConversionError(_lambda_layer(part, config))
        if own_names & _OUTSIDE:
            raise ConversionError(f"holds a {name} layer, which reads other files or runs other code; {_BUILD}")
        if not _is_keras(part):
            if part is config:
                raise ConversionError(
                    f"is a subclassed model, {name}, whose code is not in the file; build it from Keras' own layers "
                    f"(keras.Model(inputs, outputs)), {_EXPORT}"
                )
            raise ConversionError(own_layer(part["config"] if name == "function" else name))


def objects(config: Any) -> Iterator[dict[str, Any]]:
    """Every part of a configuration that names a class, outermost first."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            yield from objects(part)


def own_layer(name: Any) -> str:
    """What to say about a layer, or a function, that is not Keras' own."""
    return (
        f"holds a custom layer or function, {name}, whose code is not in the file; build the model from Keras' own "
        f"layers, {_EXPORT}"
    )


def mended(config: Any) -> Any:
    """The same configuration as the newest Keras takes it: for the same predictions, and any number of images at once.

    Layers that do nothing when predicting become ``Identity``, whatever arguments they had in another version. A nested
    model's only input and output are no lists of one: as Keras 3.0 to 3.10 wrote them, 3.15 would return a list.
    """
    if isinstance(config, list):
        return [mended(part) for part in config]
    if not isinstance(config, dict):
        return config
    if _is_object(config) and _is_inactive(config):
        return _identity(config)
    config = {key: mended(value) for key, value in config.items()}
    if "layers" in config:
        for key in ("input_layers", "output_layers"):
            ends = config.get(key)
            if isinstance(ends, list) and len(ends) == 1 and isinstance(ends[0], list):
                config[key] = ends[0]
    for key in ("batch_shape", "batch_input_shape", "build_input_shape"):
        shape = config.get(key)
        if isinstance(shape, list) and shape and isinstance(shape[0], int):
            config[key] = [None, *shape[1:]]
    return config


def _is_inactive(part: dict[str, Any]) -> bool:
    if part["class_name"] == "Pipeline" and _is_keras(part):
        layers = part["config"].get("layers")
        return isinstance(layers, list) and all(_is_object(layer) and _is_inactive(layer) for layer in layers)
    return part["class_name"] in INACTIVE and _is_keras(part)


def _identity(part: dict[str, Any]) -> dict[str, Any]:
    kept = {key: part["config"][key] for key in ("name", "trainable", "dtype") if key in part["config"]}
    identity = part | {"class_name": "Identity", "config": kept, "registered_name": None}
    identity.pop("build_config", None)
    if "module" in part:
        identity["module"] = "keras.layers"
    if isinstance(part.get("inbound_nodes"), list):
        identity["inbound_nodes"] = [_without_arguments(node) for node in part["inbound_nodes"]]
    return identity


def _without_arguments(node: Any) -> Any:
    """A call of a layer with its tensors alone, and not, say, ``training=True``."""
    return node | {"kwargs": {}} if isinstance(node, dict) else node


def _is_keras(part: dict[str, Any]) -> bool:
    """Whether a class is Keras' own; the oldest files do not say, and count as Keras' until loading fails."""
    name, module, registered = str(part["class_name"]), part.get("module"), part.get("registered_name")
    if isinstance(registered, str) and ">" in registered:
        return False
    if name == "function":
        return module is None or bool(_FUNCTIONS.fullmatch(str(module)))
    # A class of a module is one of its own names; those of functions and of imported modules begin with a small letter.
    return module is None or (str(module).split(".", 1)[0] in _KERAS and bool(re.fullmatch(r"[A-Z_]\w*", name)))


def _lambda_layer(part: dict[str, Any], config: dict[str, Any]) -> str:
    refusal = "holds a Lambda layer, which is code and not loaded"
    inner = part["config"] if isinstance(part.get("config"), dict) else {}
    function, module = inner.get("function", inner), str(inner.get("module", ""))
    if "preprocess_input" not in _text_of(function):
        return f"{refusal}; build the model from Keras' own layers, {_EXPORT}"
    family = of_module(module) or backbone(layer_names(config))
    scaling = (
        f'"scaling": "{family.scaling}", as {family.name} expects' if family else '"scaling": "tf", "torch" or "caffe"'
    )
    return (
        f"{refusal}: Lambda(preprocess_input); save the model without this layer, and write its scaling into the "
        f"description ({scaling})"
    )


def _text_of(function: Any) -> str:
    """The text in a serialised function, that of its byte code included; nothing is executed."""
    if isinstance(function, dict):
        return " ".join(_text_of(value) for value in function.values())
    if isinstance(function, list):
        return " ".join(_text_of(value) for value in function)
    if not isinstance(function, str):
        return ""
    try:
        return function + base64.b64decode(function).decode("latin-1")
    except (binascii.Error, ValueError):
        return function


def _is_object(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("class_name"), str) and isinstance(part.get("config"), dict)
