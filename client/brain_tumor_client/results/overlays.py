"""Activation maps as PNG files, in folders that mirror those of the images."""

from pathlib import Path, PurePath

from brain_tumor_client.results.tables import atomic
from brain_tumor_client.sources.item import Item


def overlay_path(folder: Path, item: Item) -> Path:
    """Where the overlay of an image stands: ``<folder>/<its path>.png``.

    Slices and frames have a folder for their file: ``<folder>/<its path>/axial-087.png``. A leading ``/`` is left out,
    and ``..`` becomes ``__``, so that nothing is written outside the folder.
    """
    path = PurePath(item.path)
    parts = ["__" if part == ".." else part for part in path.parts if part != path.anchor]
    if item.slice is not None:
        return folder.joinpath(*parts, f"{item.plane}-{item.slice:03}.png")
    if item.frame is not None:
        return folder.joinpath(*parts, f"frame-{item.frame:03}.png")
    return folder.joinpath(*parts[:-1], f"{parts[-1]}.png")


def write_overlay(folder: Path, item: Item, png: bytes) -> None:
    """Write an overlay by an atomic write.

    Raises:
        OSError: It cannot be written.
    """
    path = overlay_path(folder, item)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as scratch:
        scratch.write_bytes(png)
