"""The description of a model, written by hand or by training: a JSON file with what the model's file cannot say."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from brain_tumor.metadata import BGR, ModelMetadata
from converter.errors import ConversionError
from converter.graph.scaling import IMAGENET_SCALINGS
from converter.read.containers import read_small
from converter.read.network import Network, Selection

SOURCE = "source"  # the field that is the converter's alone, and no metadata
_PLACEHOLDER = re.compile(r"class \d+")


def placeholders(count: int) -> list[str]:
    """Names for classes whose names nobody knows yet."""
    return [f"class {number}" for number in range(1, count + 1)]


def default_path(model: Path) -> Path:
    """Where a model's description is, unless another file is named: beside the model, and never inside a folder.

    MODEL.json for the file MODEL.keras, FOLDER.json for a folder.
    """
    if model.is_dir():
        folder = model.resolve()  # "." has no name
        return folder.with_name(f"{folder.name}.json")
    return model.with_suffix(".json")


@dataclass(frozen=True)
class Description:
    """A description that was read.

    Attributes:
        path: Its file.
        document: What stands in it.
        selection: Which signature, input and output are meant.
    """

    path: Path
    document: dict[str, Any]
    selection: Selection

    @property
    def says_scaling(self) -> bool:
        """Whether it names the scaling, or leaves it at the default."""
        return "scaling" in self.document

    def metadata(self, network: Network) -> ModelMetadata:
        """The metadata of a model that it describes.

        Raises:
            ConversionError: A field is missing or wrong, or does not fit the model.
        """
        height, width = network.height, network.width
        if None in (height, width) and not self.document.get("image"):
            raise ConversionError(f"{self.path}: the model takes images of any size; give image.height and image.width")
        try:
            metadata = ModelMetadata.from_json(json.dumps(self.document), height=height, width=width)
            metadata.to_json().encode()
        except ValueError as error:  # MetadataError, or what JSON or UTF-8 cannot hold: NaN, half a surrogate pair
            raise ConversionError(f"{self.path}: {error}") from None
        image = metadata.image
        for side, of_model, described in (("height", height, image.height), ("width", width, image.width)):
            if of_model not in (None, described):
                raise ConversionError(
                    f"{self.path}: image.{side} is {described}, but the model takes {of_model} pixels"
                )
        if network.channels == 1 and image.color_mode == BGR:
            raise ConversionError(f'{self.path}: image.color_mode is "bgr", but the model takes grey levels')
        if network.channels == 1 and metadata.scaling in IMAGENET_SCALINGS:
            raise ConversionError(
                f'{self.path}: scaling is "{metadata.scaling}", which is of colours, but the model takes grey levels'
            )
        if max(network.outputs, 2) != len(metadata.class_names):  # one output stands for two classes
            raise ConversionError(
                f"{self.path}: {len(metadata.class_names)} class_names, but the model has {network.outputs} outputs"
            )
        return metadata

    def unknown_fields(self, metadata: ModelMetadata) -> Iterator[str]:
        """The fields that nothing reads; perhaps misspelt.

        Args:
            metadata: What ``metadata`` returned.
        """
        known = json.loads(metadata.to_json()) | {SOURCE: {field.name: None for field in fields(Selection)}}
        yield from (name for name in self.document if name not in known)
        for part in ("image", "out_of_distribution", "reference", SOURCE):
            yield from (f"{part}.{name}" for name in self.document.get(part, {}) if name not in known.get(part, ()))


def read_description(path: Path) -> Description:
    """Read a description.

    Raises:
        ConversionError: There is none, or it is no JSON object.
    """
    try:
        document = json.loads(read_small(path))
    except FileNotFoundError:
        raise ConversionError(
            f'{path}: no such file; describe the model there, at least {{"class_names": ["...", "..."]}} in the order '
            "of its outputs (python -m converter MODEL --describe writes a first one), or name another file with "
            "--metadata"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConversionError(f"{path}: not readable as JSON: {getattr(error, 'strerror', None) or error}") from None
    if not isinstance(document, dict):
        raise ConversionError(f"{path}: must hold a JSON object")
    return Description(path, document, _selection(path, document))


def has_placeholders(metadata: ModelMetadata) -> bool:
    """Whether a class still has the name that ``placeholders`` gave it."""
    return any(_PLACEHOLDER.fullmatch(name) for name in metadata.class_names)


def _selection(path: Path, document: dict[str, Any]) -> Selection:
    source = document.get(SOURCE, {})
    if not isinstance(source, dict):
        raise ConversionError(f"{path}: {SOURCE} must be an object")
    named = {field.name: source.get(field.name) for field in fields(Selection)}
    for name, value in named.items():
        if value is not None and not isinstance(value, str):
            raise ConversionError(f"{path}: {SOURCE}.{name} must be a name")
    return Selection(**named)
