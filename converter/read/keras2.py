"""Models that Keras 2 wrote, in HDF5 files and ``.keras`` archives, read by tf-keras.

tf-keras is Keras 2 for today's TensorFlow. Only who has such a model needs it, so it is imported here and only on use.
The model is loaded as tf-keras does it; what is served is the graph that TensorFlow traces from it.
"""

import contextlib
import json
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from converter.errors import ConversionError, one_line
from converter.graph.tf_freeze import check_harmless, frozen_function
from converter.graph.tf_graph import GraphHead, find_head
from converter.quiet import quiet
from converter.read.configuration import own_layer
from converter.read.keras2_configuration import check, in_float32
from converter.read.model_file import CONFIG, METADATA, Form, ModelFile, unpacked_weights
from converter.read.network import LayeredNetwork, Selection, check_shapes, choose, needs_all_inputs, refuse_signature

TF_KERAS = "2.20.1"  # as in the Pipfile
_DEFAULT_SIDE = 64  # pixels, where the model takes images of any size and is only looked at


@dataclass(frozen=True, eq=False)
class Keras2Network(LayeredNetwork):
    """A Keras 2 model in float32."""

    model: Any
    index: int
    origin: Mapping[str, str]

    def predict(self, pixels: Any) -> Any:
        """The model's own output, (batch, output)."""
        with quiet():
            return self._output(tf.cast(pixels, self._input.dtype))

    def head(self, height: int, width: int) -> GraphHead:
        """The frozen graph of the model, and its end."""
        with quiet():
            graph_def, image, output = frozen_function(self.traced(height, width))
            return find_head(graph_def, image, output, height, width)

    def traced(self, height: int | None, width: int | None) -> Any:
        """The model as a concrete function for any number of images."""
        images = tf.TensorSpec((None, height, width, self.channels), self._input.dtype)
        return tf.function(self._output, input_signature=[images], autograph=False).get_concrete_function()

    @property
    def _input(self) -> Any:
        return self.model.inputs[0]

    def _output(self, pixels: Any) -> Any:
        return tf.nest.flatten(self.model(pixels, training=False))[self.index]


def read(file: ModelFile, selection: Selection) -> Keras2Network:
    """Load a Keras 2 model, after a look at its configuration for what would run code.

    Args:
        file: A file of any form but ``SAVED_MODEL``.
        selection: Which input and output are meant.

    Raises:
        ConversionError: It cannot be loaded, is not of a kind that can be converted, or tf-keras is not installed.
    """
    check(file.config)
    try:
        with quiet():
            return _network(_load(file), selection, {"format": file.form.value, "keras": file.keras})
    except (ConversionError, MemoryError, RecursionError):
        raise
    except Exception as error:  # a broken or hostile file can raise anything in Keras
        raise ConversionError(_reason(str(error))) from None


def _load(file: ModelFile) -> Any:
    try:
        import tf_keras
    except ImportError:
        raise ConversionError(
            f"files of Keras 2 are read by tf-keras: run make keras-2 once, or pip install tf-keras=={TF_KERAS} into "
            "this environment"
        ) from None
    if file.form is Form.HDF5:
        model = tf_keras.models.load_model(str(file.path.resolve()), compile=False)
    else:
        with _archived(file) as archive:
            model = tf_keras.models.load_model(str(archive), compile=False, safe_mode=True)
    if not getattr(model, "inputs", None):
        raise ConversionError(
            f"holds no model with a fixed input, but a {type(model).__name__}; build it from layers "
            "(Model(inputs, outputs)), or save it as a SavedModel folder and convert that"
        )
    return in_float32(model)


@contextlib.contextmanager
def _archived(file: ModelFile) -> Iterator[Path]:
    """An archive as tf-keras takes it, by its name, with what it needs of it."""
    with tempfile.TemporaryDirectory(prefix="converter-") as folder:
        archive = Path(folder) / "model.keras"
        weights = unpacked_weights(file, Path(folder))
        with zipfile.ZipFile(archive, "w") as members:
            members.writestr(CONFIG, json.dumps(file.config))
            members.writestr(METADATA, json.dumps({"keras_version": file.keras}))
            members.write(weights, weights.name)
        yield archive


def _network(model: Any, selection: Selection, origin: Mapping[str, str]) -> Keras2Network:
    refuse_signature(selection)
    image = choose("input", model.input_names, selection.input)
    index = choose("output", model.output_names, selection.output)
    if len(model.inputs) > 1:
        model, index = _with_one_input(model, image, index), 0
    check_shapes(model.inputs[0].shape, model.outputs[index].shape)
    network = Keras2Network(model, index, origin)
    function = network.traced(network.height or _DEFAULT_SIDE, network.width or _DEFAULT_SIDE)
    check_harmless(function.graph.as_graph_def(), function.outputs[0].name)  # before anything is computed
    return network


def _with_one_input(model: Any, image: int, output: int) -> Any:
    """The part of a model between one input and one output."""
    from tf_keras import Model

    try:
        return Model(model.inputs[image], model.outputs[output])
    except ValueError:
        raise needs_all_inputs(model.input_names) from None


def _reason(message: str) -> str:
    """tf-keras' message of many lines as one line."""
    own = re.search(
        r"(?:Unknown (?:layer|object|\w+ function|\w+)|Could not locate (?:class|function)):? '([^']+)'", message
    )
    if own:
        return own_layer(own[1])
    return f"cannot be loaded: {one_line(message)}"
