from pathlib import Path

import pytest

from brain_tumor_client.results.overlays import overlay_path, write_overlay
from brain_tumor_client.sources.item import Item


@pytest.mark.parametrize(
    ("item", "path"),
    [
        (Item("scans/a/b.jpg", bytes), "out/scans/a/b.jpg.png"),
        (Item("/data/b.jpg", bytes), "out/data/b.jpg.png"),
        (Item("../b.jpg", bytes), "out/__/b.jpg.png"),
        (Item("a/../../b.jpg", bytes), "out/a/__/__/b.jpg.png"),
        (Item("v.nii.gz", bytes, plane="axial", slice=7), "out/v.nii.gz/axial-007.png"),
        (Item("m.dcm", bytes, plane="axial", frame=12), "out/m.dcm/frame-012.png"),
        (Item("m.dcm", bytes, plane="axial"), "out/m.dcm.png"),
    ],
)
def test_folders_are_mirrored(item: Item, path: str) -> None:
    assert overlay_path(Path("out"), item) == Path(path)


def test_an_overlay_appears_whole(tmp_path: Path) -> None:
    write_overlay(tmp_path, Item("a/b.jpg", bytes), b"png")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.jpg.png"]
    assert (tmp_path / "a" / "b.jpg.png").read_bytes() == b"png"
