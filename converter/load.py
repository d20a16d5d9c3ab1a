"""A .keras file and its metadata, read and checked before anything is converted."""

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from brain_tumor.metadata import ModelMetadata
from converter.errors import ConversionError
from converter.float32 import in_float32
from converter.network import KerasNetwork, Network

_MAX_REASON = 200  # characters of another library's message


@dataclass(frozen=True)
class Source:
    """A model and its metadata.

    Attributes:
        network: The model.
        metadata: It holds the size of the model's images, too.
        says_scaling: Whether the metadata names the scaling, or leaves it at the default.
        unknown_fields: Fields in the metadata's file that the metadata does not have; perhaps misspelt.
    """

    network: Network
    metadata: ModelMetadata
    says_scaling: bool
    unknown_fields: tuple[str, ...]


def load(model_path: Path, metadata_path: Path) -> Source:
    """Read a model and its metadata, and check that they agree.

    Raises:
        ConversionError: One of them cannot be read, the model is not of a kind that can be converted, or they disagree.
    """
    _check_file(model_path)
    document = _metadata_document(metadata_path)
    network = _network(model_path)
    height, width = network.height, network.width
    if None in (height, width) and not document.get("image", {}):
        raise ConversionError(f"{metadata_path}: the model takes images of any size; give image.height and image.width")
    try:
        metadata = ModelMetadata.from_json(json.dumps(document), height=height, width=width)
        metadata.to_json().encode()
    except ValueError as error:  # MetadataError, or what JSON or UTF-8 cannot hold: NaN, half a surrogate pair
        raise ConversionError(f"{metadata_path}: {error}") from None
    for side, of_model, of_metadata in (
        ("height", height, metadata.image.height),
        ("width", width, metadata.image.width),
    ):
        if of_model not in (None, of_metadata):
            raise ConversionError(
                f"{metadata_path}: image.{side} is {of_metadata}, but the model takes {of_model} pixels"
            )
    if max(network.outputs, 2) != len(metadata.class_names):  # one output stands for two classes
        raise ConversionError(
            f"{metadata_path}: {len(metadata.class_names)} class_names, but the model has {network.outputs} outputs"
        )
    return Source(network, metadata, "scaling" in document, tuple(_unknown_fields(document, metadata)))


def _unknown_fields(document: dict[str, Any], metadata: ModelMetadata) -> Iterator[str]:
    fields = json.loads(metadata.to_json())
    yield from (name for name in document if name not in fields)
    for part in ("image", "out_of_distribution"):
        yield from (f"{part}.{name}" for name in document.get(part, {}) if name not in fields[part])


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise ConversionError(f"{path}: no such file")
    if path.suffix != ".keras":
        raise ConversionError(f"{path}: not a .keras file; save the model with model.save('MODEL.keras')")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError):
        damaged = "the archive"
    if damaged:
        raise ConversionError(f"{path}: damaged or incomplete ({damaged}), or not a .keras file; copy or save it again")


def _metadata_document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ConversionError(
            f'{path}: no such file; describe the model there, at least {{"class_names": ["...", "..."]}}, '
            "or name another file with --metadata"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConversionError(f"{path}: not readable as JSON: {error}") from None
    if not isinstance(document, dict):
        raise ConversionError(f"{path}: must hold a JSON object")
    return document


def _network(path: Path) -> KerasNetwork:
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a broken or hostile file can raise anything in Keras
        raise ConversionError(f"{path}: {_reason(str(error))}") from None
    if not isinstance(model, keras.Model):
        raise ConversionError(f"{path}: holds no model, but a {type(model).__name__}")
    _check_shapes(model)
    return KerasNetwork(in_float32(model), {"format": ".keras"})


def _reason(message: str) -> str:
    """Keras' message of many lines as one line."""
    if "`Lambda` layer" in message:
        return "holds a Lambda layer, which is code and not loaded; build the model from Keras' own layers"
    custom = re.search(r"Could not locate (?:class|function) '([^']*)'", message)
    if custom:
        return f"holds a custom layer or function, {custom[1]}; build the model from Keras' own layers"
    first = message.strip().splitlines()[0] if message.strip() else "unknown reason"
    return f"cannot be loaded: {first[:_MAX_REASON]}"


def _check_shapes(model: keras.Model) -> None:
    if not getattr(model, "inputs", None):
        raise ConversionError("the model has no fixed input; build it with keras.Input((height, width, 3))")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ConversionError(
            f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs; it must have 1"
        )
    image, output = model.inputs[0].shape, model.outputs[0].shape
    if len(image) != 4 or image[3] not in (1, 3):
        raise ConversionError(f"the model takes {_text(image)}; it must take (None, height, width, 3)")
    if len(output) != 2:
        raise ConversionError(f"the model gives {_text(output)}; it must give (None, classes)")


def _text(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
