"""What a version folder's watch sees: names, sizes, times, and that a copy has ended."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from portable_model_server.serving import folder_watch
from portable_model_server.serving.folder_watch import FolderWatch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "1" / "variables").mkdir(parents=True)
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"model")
    (tmp_path / "1" / "variables" / "data").write_bytes(b"half")
    return tmp_path / "1"


def touch(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def grow(path: Path) -> None:
    """With the time that it had: copies may keep the time of their source."""
    status = path.stat()
    path.write_bytes(b"whole")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "variables" / "index").touch(),
        lambda folder: grow(folder / "variables" / "data"),
        lambda folder: touch(folder / "saved_model.pb"),
        lambda folder: (folder / "saved_model.pb").rename(folder / "other.pb"),
        lambda folder: (folder / "saved_model.pb").unlink(),
        lambda folder: folder.rename(folder.parent / "2"),
    ],
    ids=["a new file", "a file grows", "a newer file", "another name", "a file goes", "the folder goes"],
)
def test_a_change_counts_once_it_has_ended(folder: Path, change: Callable[[Path], object]) -> None:
    watch = FolderWatch(folder)
    assert not watch.settled()
    assert not watch.changed()
    change(folder)
    assert watch.changed()
    assert not watch.settled(), "seen for the first time"
    assert watch.settled()
    assert not FolderWatch(folder).changed()


def test_a_copy_that_goes_on(folder: Path) -> None:
    watch = FolderWatch(folder)
    for size in range(5, 9):
        (folder / "variables" / "data").write_bytes(b"x" * size)
        assert not watch.settled()
    assert watch.settled()


def test_a_folder_that_is_gone_and_comes_back(folder: Path) -> None:
    away = folder.rename(folder.parent / "away")
    watch = FolderWatch(folder)
    assert not watch.settled()
    away.rename(folder)
    assert [watch.settled(), watch.settled()] == [False, True]


def test_no_more_than_so_many_entries(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_watch, "_MOST_ENTRIES", 1)
    watch = FolderWatch(folder)
    (folder / "variables" / "data").write_bytes(b"whole")
    assert not watch.changed()
