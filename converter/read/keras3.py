"""Models that Keras 3 wrote, of every version and in both formats, loaded whatever their suffix is."""

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from converter.errors import ConversionError, one_line
from converter.graph.float32 import in_float32
from converter.read.configuration import mended, own_layer
from converter.read.model_file import CONFIG, Form, ModelFile, unpacked_weights
from converter.read.network import KerasNetwork, Selection, check_shapes, choose, needs_all_inputs, refuse_signature


def read(file: ModelFile, selection: Selection) -> KerasNetwork:
    """Load a model, without its optimizer and without any code in it.

    Args:
        file: A file of any form but ``SAVED_MODEL``.
        selection: Which input and output are meant.

    Raises:
        ConversionError: It cannot be loaded, or it is not of a kind that can be converted.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="converter-") as folder:
            model = _model(file, Path(folder))
    except (ConversionError, MemoryError, RecursionError):
        raise
    except Exception as error:  # a broken or hostile file can raise anything in Keras
        raise ConversionError(_reason(file, str(error))) from None
    if not isinstance(model, keras.Model):
        raise ConversionError(f"holds no model, but a {type(model).__name__}")
    return selected(in_float32(model), selection, {"format": file.form.value, "keras": file.keras})


def selected(model: keras.Model, selection: Selection, origin: Mapping[str, str]) -> KerasNetwork:
    """A Keras 3 model, of whose inputs and outputs one each is meant.

    Raises:
        ConversionError: It has several and none is named, or not of a kind that can be converted.
    """
    refuse_signature(selection)
    if not getattr(model, "inputs", None):
        raise ConversionError(
            "the model has no fixed input, so its file does not say what images it takes; build it with "
            "keras.Input((height, width, 3)), or export it, model.export('FOLDER'), and convert that folder"
        )
    inputs = [tensor.name for tensor in model.inputs]
    index = choose("input", inputs, selection.input)
    names = getattr(model, "output_names", None) or [layer.name for layer in model.layers[-1:]]
    makers = [tensor._keras_history.operation.name for tensor in model.outputs]
    output = choose("output", names, selection.output, makers)
    if len(inputs) > 1:
        try:
            model, output = keras.Model(model.inputs[index], model.outputs[output]), 0
        except ValueError:
            raise needs_all_inputs(inputs) from None
    check_shapes(model.inputs[0].shape, model.outputs[output].shape)
    return KerasNetwork(model, origin, output)


def _model(file: ModelFile, folder: Path) -> Any:
    config = mended(file.config)
    if file.form is Form.HDF5:
        link = folder / "model.h5"  # Keras goes by the suffix
        link.symlink_to(file.path.resolve())
        model = _from_legacy(config)
        model.load_weights(link)
        return model
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    unpacked_weights(file, folder)
    return keras.saving.load_model(folder, compile=False, safe_mode=True)


def _from_legacy(config: dict[str, Any]) -> Any:
    """A model from the configuration in an HDF5 file, which does not say where its classes come from."""
    kind = keras.Sequential if config.get("class_name") == "Sequential" else keras.Model
    if config.get("class_name") not in ("Sequential", "Functional", "Model"):
        raise ValueError(f"Could not locate class '{config.get('class_name')}'")
    return kind.from_config(config["config"])


def _reason(file: ModelFile, message: str) -> str:
    """Keras' message of many lines as one line."""
    inner = re.findall(r"Exception encountered: (.*)", message)
    reason = one_line(inner[-1] if inner else message)
    if _numbers(file.keras) > _numbers(keras.__version__):
        return (
            f"written by Keras {file.keras}, which is newer than {keras.__version__}, the one here, and cannot be "
            f"loaded ({reason}); update this program, or save the model with an older Keras"
        )
    custom = re.search(r"Could not locate (?:class|function) '([^']*)'", message)
    if custom:
        return own_layer(custom[1])
    return f"cannot be loaded: {reason}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
