"""Which files are found, and in which order."""

import os
import random
from pathlib import Path

import pytest

from brain_tumor_client.sources.find import Found, How, sources
from brain_tumor_client.sources.kinds import Kind, kind_of
from brain_tumor_client.sources.stored import OnDisk, shown

PNG = b"\x89PNG\r\n\x1a\n"


def write(folder: Path, *names: str, content: bytes = PNG) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def found_in(folder: Path, *names: str, found: Found | None = None, **how: object) -> list[str]:
    paths = [folder / name for name in names] or [folder]
    found = found or Found()
    return [source.path.removeprefix(f"{folder}/") for source in sources(paths, How(**how), found)]


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a", PNG, Kind.IMAGE),
        ("a.txt", b"\xff\xd8\xff\xe0", Kind.IMAGE),
        ("a", b"II*\0", Kind.IMAGE),
        ("a", b"RIFF\0\0\0\0WEBP", Kind.IMAGE),
        ("a", b"RIFF\0\0\0\0WAVE", Kind.OTHER),
        ("a", b"\0\0\0\x20ftypheic", Kind.IMAGE),
        ("a", b"\0\0\0\x20ftypmp42", Kind.OTHER),
        ("IM0001", bytes(128) + b"DICM", Kind.DICOM),
        ("a.png", bytes(128) + b"DICM", Kind.DICOM),
        ("a.dcm", b"without a preamble", Kind.DICOM),
        ("a.JPG", b"", Kind.IMAGE),
        ("a.nii", b"", Kind.VOLUME),
        ("a.NII.gz", b"", Kind.VOLUME),
        ("a.gz", b"\x1f\x8b", Kind.OTHER),
        ("notes.txt", b"words", Kind.OTHER),
        ("a", b"", Kind.OTHER),
    ],
)
def test_what_a_file_is(tmp_path: Path, name: str, content: bytes, kind: Kind) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert kind_of(OnDisk(path)) is kind


def test_a_folder_is_read_in_the_order_of_names_files_first(tmp_path: Path) -> None:
    names = ["b.png", "a.png", "z/1.png", "c/x/2.png", "c/1.png", "c/0.png"]
    random.Random(1).shuffle(names)
    write(tmp_path, *names)
    assert found_in(tmp_path) == ["a.png", "b.png", "c/0.png", "c/1.png", "c/x/2.png", "z/1.png"]


def test_what_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "a.png", ".hidden.png", ".git/b.png", "._a.png")
    write(tmp_path, "notes.txt", "table.csv", content=b"words")
    write(tmp_path, "DICOMDIR", content=bytes(128) + b"DICM")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = Found()
    assert found_in(tmp_path, found=found) == ["a.png"]
    assert found.others == 3


def test_links_to_files_are_read(tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/a.png")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    assert found_in(tmp_path, "folder") == ["folder/b.png"]


def test_a_file_that_is_named_is_sent_whatever_it_is(tmp_path: Path) -> None:
    write(tmp_path, "notes.txt", ".hidden", content=b"words")
    assert found_in(tmp_path, "notes.txt", ".hidden") == [".hidden", "notes.txt"]


def test_nothing_is_read_before_it_is_needed(tmp_path: Path) -> None:
    write(tmp_path, *(f"{number:03}.png" for number in range(300)))
    stream = sources([tmp_path], How(), Found())
    assert next(stream).path.endswith("000.png")
    (tmp_path / "001.png").unlink()
    assert next(stream).path.endswith("001.png"), "its name was listed; its row will hold the error"


def test_shards_hold_each_file_once(tmp_path: Path) -> None:
    write(tmp_path, *(f"{number}.png" for number in range(60)))
    parts = [found_in(tmp_path, shard=(index, 3)) for index in range(3)]
    assert all(len(part) > 5 for part in parts)
    assert sorted(path for part in parts for path in part) == sorted(found_in(tmp_path))


def test_a_name_that_is_no_unicode_is_shown_with_escapes(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    try:
        write(tmp_path, name)
    except OSError:
        pytest.skip("this file system takes Unicode alone")
    assert found_in(tmp_path) == ["caf\\xe9.png"]
    assert shown(Path("café")) == "café"


def test_an_item_of_an_image_loads_its_bytes(tmp_path: Path) -> None:
    write(tmp_path, "a.png", content=PNG + b"content")
    (source,) = sources([tmp_path], How(), Found())
    (item,) = source.items()
    assert item.load() == PNG + b"content"
    assert item.key == source.path
