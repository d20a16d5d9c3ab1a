"""A first description of a model that has none: what its file says, what follows from that, and what is a guess."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain_tumor.metadata import ModelMetadata
from converter.check.checks import compare
from converter.check.labelled import class_folders, labelled
from converter.errors import ConversionError, SeveralError
from converter.graph.head import Head
from converter.read.backbones import backbone
from converter.read.configuration import layer_names
from converter.read.description import SOURCE, Description, placeholders
from converter.read.load import read_network
from converter.read.model_file import Form, ModelFile, look_at
from converter.read.network import Network, Selection

_ANY_SIZE = 224  # pixels, for a model that takes images of any size: what keras.applications' networks are made for
_MOST_COMMON = "unit"  # scaling, where nothing says another
_MAX_CHANGES = 3  # that labelled images may make to the guesses


@dataclass(frozen=True)
class Draft:
    """A description that the converter made.

    Attributes:
        document: The description.
        certain: What is certain, a sentence each.
        guesses: What is a guess, or has to be filled in, a sentence each.
    """

    document: dict[str, Any]
    certain: tuple[str, ...]
    guesses: tuple[str, ...]


def describe(model: Path, path: Path, images: Path | None, tell: Callable[[str], None]) -> Draft:
    """Write a model's first description.

    Args:
        model: The model's file or folder.
        path: The description to write; it must not exist.
        images: A folder of labelled images, which give the classes' names and show which guesses are right.
        tell: Called with lines for people.

    Raises:
        ConversionError: The model cannot be read, or there is a description already.
    """
    if path.exists():
        raise ConversionError(f"{path} exists, and is never overwritten; name another file with --metadata")
    file = look_at(model)
    network, selection, chosen = _network(file)
    draft = _draft(file, network, selection, chosen, images, tell)
    try:
        with path.open("x", encoding="utf-8") as written:
            written.write(json.dumps(draft.document, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ConversionError(f"cannot write {path}: {error.strerror or error}") from None
    return draft


def _network(file: ModelFile) -> tuple[Network, Selection, list[str]]:
    """The model; of several outputs the one with the most numbers, and what was chosen in that way."""
    selection = Selection()
    chosen: list[str] = []
    while True:
        try:
            return read_network(file, selection), selection, chosen
        except SeveralError as several:
            if getattr(selection, several.part) is not None:
                raise
            selection = max(
                (dataclasses.replace(selection, **{several.part: name}) for name in several.names),
                key=lambda selection: _outputs(file, selection),
            )
            name = getattr(selection, several.part)
            chosen.append(f"{SOURCE}.{several.part}: {name}, of {', '.join(several.names)}")


def _outputs(file: ModelFile, selection: Selection) -> int:
    try:
        return read_network(file, selection).outputs
    except SeveralError:
        return 0
    except ConversionError:
        return -1


def _draft(
    file: ModelFile,
    network: Network,
    selection: Selection,
    chosen: list[str],
    images: Path | None,
    tell: Callable[[str], None],
) -> Draft:
    height, width = network.height or _ANY_SIZE, network.width or _ANY_SIZE
    with file.named_in_errors():
        head = network.head(height, width)
    version = f" of Keras {file.keras}" if file.keras else ""
    certain = [f"format: {file.form}{version}", f"outputs: {network.outputs}, as {head.output}"]
    folders = class_folders(images) if images else []
    count = max(network.outputs, 2)
    names = [folder.name for folder in folders]
    guesses = list(chosen)
    if len(names) == count:
        guesses.append("class_names: the folders' names, sorted as Keras does; check their order")
    else:
        found = f" ({len(names)} folders: {', '.join(names)})" if names else ""
        names = placeholders(count)
        single = ": the output is the probability of the second" if network.outputs == 1 else ""
        guesses.append(f"class_names: placeholders{found}; write the names in the order of the outputs{single}")
    scaling, why, guessed = _scaling(file, head)
    (guesses if guessed else certain).append(f"scaling: {scaling}, {why}")
    document: dict[str, Any] = {"class_names": names, "scaling": scaling}
    named = {part: name for part, name in dataclasses.asdict(selection).items() if name is not None}
    if named:
        document[SOURCE] = named
    document["image"] = {"height": height, "width": width, "resampling": "bilinear"}
    if None in (network.height, network.width):
        guesses.append(f"image: {height}x{width} pixels; the model takes images of any size")
    else:
        certain.append(f"image: {height}x{width} pixels, {'grey' if network.channels == 1 else 'colour'}")
    guesses.append(
        "image.resampling: bilinear; nearest for images of Keras' load_img or ImageDataGenerator, "
        "bilinear-no-antialias for cv2.resize or image_dataset_from_directory"
    )
    guesses.append(
        "image.color_mode, crop_to_head, pad_to_aspect_ratio: left out; bgr for cv2.imread without cvtColor, "
        "true where training cropped to the head or padded"
    )
    if folders and names == [folder.name for folder in folders]:
        document, changes = _improved(network, head, document, folders, tell)
        guesses += changes
    return Draft(document, tuple(certain), tuple(guesses))


def _scaling(file: ModelFile, head: Head) -> tuple[str, str, bool]:
    """The scaling, why, and whether that is a guess."""
    if head.scales:
        return "none", "the model scales inside", False
    family = backbone(_layer_names(file, head))
    if family and family.scaling != "none":
        return family.scaling, f"what {family.name} of keras.applications expects; check that it was trained so", True
    return _MOST_COMMON, "the most common where a model has none inside; check what its training did", True


def _layer_names(file: ModelFile, head: Head) -> Iterable[str]:
    if file.form is not Form.SAVED_MODEL:
        return layer_names(file.config)
    from converter.graph.tf_graph import GraphHead

    nodes = head.graph_def.node if isinstance(head, GraphHead) else ()
    return {part for node in nodes for part in node.name.split("/")}


def _improved(
    network: Network, head: Head, document: dict[str, Any], folders: list[Path], tell: Callable[[str], None]
) -> tuple[dict[str, Any], list[str]]:
    """The description with what is significantly better on labelled images, and what was changed."""
    changes: list[str] = []
    for _ in range(_MAX_CHANGES):
        metadata = _metadata(document, network)
        images = labelled(folders, metadata.class_names)
        if images is None:
            break
        comparison = compare(network, head, metadata, images, tell)
        tell(f"accuracy on {len(images.paths)} labelled images of {images.folder}:")
        for line in comparison.lines():
            tell(line)
        better = comparison.better
        if better is None:
            break
        document = _merged(document, dict(better.change))
        changes.append(f"{better.text}: significantly better on the labelled images ({better.accuracy:.1%})")
    return document, changes


def _metadata(document: dict[str, Any], network: Network) -> ModelMetadata:
    return Description(Path("the description"), document, Selection()).metadata(network)


def _merged(document: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    return document | {
        key: document[key] | value if isinstance(value, dict) else value for key, value in change.items()
    }


def report(path: Path, draft: Draft) -> Iterator[str]:
    """What was found out, for people."""
    yield f"wrote {path}"
    yield "certain:"
    yield from (f"  {line}" for line in draft.certain)
    yield "to check:"
    yield from (f"  {line}" for line in draft.guesses)
