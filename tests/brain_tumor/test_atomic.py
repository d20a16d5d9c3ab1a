"""A file or folder appears complete or not at all."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from brain_tumor.atomic import atomic_file, atomic_folder
from brain_tumor.processes import ROOT


class Crash(BaseException):
    """An interrupt in the middle of a write; like KeyboardInterrupt it is not an Exception."""


def kill_in_the_middle(function: str, path: Path) -> None:
    """Run a writer that SIGKILLs itself after it has written half."""
    code = f"""
import os, pathlib, signal
from brain_tumor.atomic import {function}
with {function}(pathlib.Path({str(path)!r})) as scratch:
    (scratch / "half" if scratch.is_dir() else scratch).write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60)
    assert killed.returncode == -signal.SIGKILL


def test_a_new_file(tmp_path):
    path = tmp_path / "result.json"
    with atomic_file(path) as scratch:
        scratch.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_replaces_the_one_that_was_there(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    with atomic_file(path) as scratch:
        scratch.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, Crash])
def test_a_file_whose_writer_fails_leaves_the_old_one(tmp_path, error):
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(error), atomic_file(path) as scratch:
        scratch.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_without_a_folder_is_an_error(tmp_path):
    with pytest.raises(OSError), atomic_file(tmp_path / "missing" / "result.json") as scratch:
        scratch.write_text("whole")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_of_a_file_leaves_only_a_hidden_sibling(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    kill_in_the_middle("atomic_file", path)
    assert path.read_text() == "old"
    (left,) = set(tmp_path.iterdir()) - {path}
    assert left.name.startswith(".")


def test_a_new_folder_with_its_parents(tmp_path):
    path = tmp_path / "models" / "brain-tumor" / "1"
    with atomic_folder(path) as scratch:
        (scratch / "assets").mkdir()
        (scratch / "assets" / "metadata.json").write_text("{}")
        assert not path.exists()
        assert scratch.parent == path.parent and scratch.name.startswith(".")
    assert (path / "assets" / "metadata.json").read_text() == "{}"
    assert list(path.parent.iterdir()) == [path]


def test_other_users_can_read_a_folder(tmp_path):
    path = tmp_path / "1"
    previous = os.umask(0o077)
    try:
        with atomic_folder(path) as scratch:
            (scratch / "variables").mkdir()
    finally:
        os.umask(previous)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (path, path / "variables")] == [0o755, 0o755]


def test_a_relative_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with atomic_folder(Path("runs/1")) as scratch:
        (scratch / "result").write_text("whole")
    assert (tmp_path / "runs" / "1" / "result").read_text() == "whole"


def test_an_empty_folder_is_replaced_if_it_may_be(tmp_path):
    path = tmp_path / "1"
    path.mkdir()
    with pytest.raises(FileExistsError), atomic_folder(path):
        pass
    with atomic_folder(path, replace_empty=True) as scratch:
        (scratch / "result").write_text("whole")
    assert [file.name for file in path.iterdir()] == ["result"]


@pytest.mark.parametrize("replace_empty", [False, True])
def test_a_folder_with_content_is_not_replaced(tmp_path, replace_empty):
    path = tmp_path / "1"
    path.mkdir()
    (path / "theirs").write_text("old")
    with pytest.raises(OSError), atomic_folder(path, replace_empty=replace_empty) as scratch:
        (scratch / "ours").write_text("new")
    assert [file.name for file in path.iterdir()] == ["theirs"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, Crash])
def test_a_folder_whose_writer_fails_leaves_nothing(tmp_path, error):
    with pytest.raises(error), atomic_folder(tmp_path / "models" / "brain-tumor" / "1") as scratch:
        (scratch / "half").write_text("half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_parents_that_were_there_or_are_used_by_others_stay(tmp_path):
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "brain-tumor" / "1"
    with pytest.raises(ValueError, match="half"), atomic_folder(path):
        (path.parent / "2").mkdir()  # by another process
        raise ValueError("half")
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "models", path.parent, path.parent / "2"]


def test_a_killed_writer_of_a_folder_leaves_only_a_hidden_sibling(tmp_path):
    kill_in_the_middle("atomic_folder", tmp_path / "1")
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".")
    assert [file.name for file in left.iterdir()] == ["half"]
