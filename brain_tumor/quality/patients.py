"""Whose image each is, where a manifest beside the images says it."""

from collections.abc import Iterable, Mapping
from typing import Any

MANIFEST = "manifest.json"  # its name; it has an entry for each image under "images"


def patients_of(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The patient of each image that has one, by the image's path relative to the manifest's folder."""
    return {str(entry["file"]): entry["patient"] for entry in entries if entry.get("patient") is not None}
