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

import h5py
import tensorflow as tf

from converter.errors import ConversionError, SeveralError
from converter.graph.tf_freeze import check_harmless, frozen_function
from converter.graph.tf_graph import GraphHead, find_head
from converter.quiet import quiet
from converter.read.configuration import own_layer
from converter.read.keras2_configuration import check, in_float32
from converter.read.network import Network, Selection, choose

TF_KERAS = "2.20.1"  # as in the Pipfile
_MAX_REASON = 200  # characters of another library's message
_CONFIG, _METADATA = "config.json", "metadata.json"  # in a .keras archive
_DEFAULT_SIDE = 64  # pixels, where the model takes images of any size and is only looked at


@dataclass(frozen=True, eq=False)
class Keras2Network(Network):
    """A Keras 2 model in float32.

    Attributes:
        model: It has one input, (batch, height, width, channels).
        index: Which of its outputs is meant.
    """

    model: Any
    index: int
    origin: Mapping[str, str]

    @property
    def height(self) -> int | None:  # type: ignore[override]
        """Height of the images it takes, in pixels."""
        return self._input.shape[1]

    @property
    def width(self) -> int | None:  # type: ignore[override]
        """Width of the images it takes, in pixels."""
        return self._input.shape[2]

    @property
    def channels(self) -> int:  # type: ignore[override]
        """Channels of the images it takes."""
        return int(self._input.shape[3])

    @property
    def outputs(self) -> int:  # type: ignore[override]
        """How many numbers it gives for an image."""
        return int(self.model.outputs[self.index].shape[-1])

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


def read(path: Path, selection: Selection) -> Keras2Network:
    """Load a Keras 2 model, after a look at its configuration for what would run code.

    Args:
        path: An HDF5 file, a ``.keras`` archive, or such an archive unpacked into a folder; its name does not matter.
        selection: Which output is meant.

    Raises:
        ConversionError: It cannot be loaded, is not of a kind that can be converted, or tf-keras is not installed.
    """
    try:
        form, version, config = _configuration(path)
        check(config)
        with quiet():
            model = _load(path, form, version)
            return _network(model, selection, {"format": form, "keras": version})
    except SeveralError:
        raise  # it lists what to choose from
    except ConversionError as error:
        raise ConversionError(f"{path}: {error}") from None
    except Exception as error:  # a broken or hostile file can raise anything in Keras
        raise ConversionError(f"{path}: {_reason(str(error))}") from None


def _configuration(path: Path) -> tuple[str, str, Any]:
    """The form of a file, the version of Keras that wrote it, and its configuration."""
    if path.is_file() and h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            config, version = file.attrs.get("model_config"), file.attrs.get("keras_version", "2")
        if config is None:
            raise ConversionError("holds weights alone, without the network; save the whole model with model.save(...)")
        return "HDF5", _text(version), json.loads(_text(config))
    with _archived(path) as archive, zipfile.ZipFile(archive) as members:
        version = json.loads(members.read(_METADATA)).get("keras_version", "2")
        return ".keras", str(version), json.loads(members.read(_CONFIG))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _load(path: Path, form: str, version: str) -> Any:
    try:
        import tf_keras
    except ImportError:
        raise ConversionError(
            f"{form} of Keras {version}; Keras 2 files are read by tf-keras: run make keras-2 once, "
            f"or pip install tf-keras=={TF_KERAS} into this environment"
        ) from None
    if form == "HDF5":
        model = tf_keras.models.load_model(str(path), compile=False)
    else:
        with _archived(path) as archive:
            model = tf_keras.models.load_model(str(archive), compile=False, safe_mode=True)
    if not getattr(model, "inputs", None):
        raise ConversionError(
            f"holds no model with a fixed input, but a {type(model).__name__}; build it from layers "
            "(Model(inputs, outputs)), or save it as a SavedModel folder and convert that"
        )
    return in_float32(model)


@contextlib.contextmanager
def _archived(path: Path) -> Iterator[Path]:
    """An archive as tf-keras takes it: by its name."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "model.keras"
        if path.is_dir():
            with zipfile.ZipFile(archive, "w") as members:
                for member in path.rglob("*"):
                    members.write(member, member.relative_to(path))
        else:
            archive.symlink_to(path.resolve())
        yield archive


def _network(model: Any, selection: Selection, origin: Mapping[str, str]) -> Keras2Network:
    if selection.signature is not None:
        raise ConversionError("source.signature is for a SavedModel; a Keras model has none")
    image = choose("input", model.input_names, selection.input)
    index = choose("output", model.output_names, selection.output)
    if len(model.inputs) > 1:
        model, index = _with_one_input(model, image, index), 0
    image, output = model.inputs[0].shape, model.outputs[index].shape
    if len(image) != 4 or image[3] not in (1, 3):
        raise ConversionError(f"the model takes {_shape(image)}; it must take (None, height, width, 3)")
    if len(output) != 2:
        raise ConversionError(f"the model gives {_shape(output)}; it must give (None, classes)")
    network = Keras2Network(model, index, origin)
    function = network.traced(image[1] or _DEFAULT_SIDE, image[2] or _DEFAULT_SIDE)
    check_harmless(function.graph.as_graph_def(), function.outputs[0].name)  # before anything is computed
    return network


def _with_one_input(model: Any, image: int, output: int) -> Any:
    """The part of a model between one input and one output."""
    from tf_keras import Model

    try:
        return Model(model.inputs[image], model.outputs[output])
    except ValueError:
        raise ConversionError(
            f"the model takes {len(model.inputs)} inputs ({', '.join(model.input_names)}), and one image is all that "
            "it can be given"
        ) from None


def _shape(shape: Any) -> str:
    return f"({', '.join(map(str, shape))})"


def _reason(message: str) -> str:
    """tf-keras' message of many lines as one line."""
    own = re.search(
        r"(?:Unknown (?:layer|object|\w+ function|\w+)|Could not locate (?:class|function)):? '([^']+)'", message
    )
    if own:
        return own_layer(own[1])
    first = message.strip().splitlines()[0] if message.strip() else "unknown reason"
    return f"cannot be loaded: {first[:_MAX_REASON]}"
