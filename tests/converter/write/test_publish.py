"""A version folder appears complete or not at all."""

import os
import signal
import stat
import subprocess
import sys

import pytest

from converter.errors import ConversionError
from converter.write.publish import new_version
from tests.converter.compare import listing

# Writes half of a version, prints the folder's name, and waits for a signal.
HALF_WAY = """
import pathlib, signal, sys
from converter.write.publish import new_version
with new_version(pathlib.Path(sys.argv[1])) as folder:
    (folder / "saved_model.pb").write_bytes(b"half")
    print(folder.name, flush=True)
    signal.pause()
"""


def test_a_block_that_ends_well_publishes(tmp_path):
    target = tmp_path / "models" / "brain-tumor" / "3"
    with new_version(target) as folder:
        (folder / "assets.extra").mkdir()
        (folder / "assets.extra" / "metadata.json").write_text("{}")
        assert not folder.name.isdigit()
        assert folder.parent == target.parent
        assert not target.exists()
    assert listing(target.parent) == ["3"]
    assert (target / "assets.extra" / "metadata.json").read_text() == "{}"


def test_other_users_can_read_it_whatever_the_umask(tmp_path):
    target = tmp_path / "models" / "brain-tumor" / "3"
    previous = os.umask(0o077)
    try:
        with new_version(target) as folder:
            (folder / "variables").mkdir()
            (folder / "variables" / "variables.index").write_text("")
            (folder / "saved_model.pb").touch(0o600)
    finally:
        os.umask(previous)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "models").rglob("*")}
    assert set(modes) == {target.parent, target, *target.rglob("*")}
    assert modes == {path: 0o755 if path.is_dir() else 0o644 for path in modes}
    assert stat.S_IMODE((tmp_path / "models").stat().st_mode) == 0o755


@pytest.mark.parametrize("error", [ConversionError("no"), KeyboardInterrupt(), RuntimeError("unforeseen")])
def test_an_error_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)), new_version(tmp_path / "models" / "brain-tumor" / "1") as folder:
        (folder / "saved_model.pb").write_bytes(b"half")
        raise error
    assert listing(tmp_path) == []


def test_an_error_leaves_the_other_versions(tmp_path):
    other = tmp_path / "brain-tumor" / "1"
    other.mkdir(parents=True)
    with pytest.raises(ConversionError), new_version(tmp_path / "brain-tumor" / "2"):
        raise ConversionError("no")
    assert listing(other.parent) == ["1"]


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), lambda path: path.write_text(""), lambda path: path.symlink_to("x")]
)
def test_what_is_there_already_is_kept(tmp_path, make):
    target = tmp_path / "1"
    make(target)
    with pytest.raises(ConversionError, match="choose another --version"), new_version(target):
        pytest.fail("must not begin")
    assert listing(tmp_path) == ["1"]


def test_of_two_at_once_the_first_to_end_wins(tmp_path):
    target = tmp_path / "brain-tumor" / "1"
    with pytest.raises(ConversionError, match="exists"), new_version(target) as late:
        (late / "saved_model.pb").write_text("late")
        with new_version(target) as early:
            (early / "saved_model.pb").write_text("early")
    assert (target / "saved_model.pb").read_text() == "early"
    assert listing(target.parent) == ["1"]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "models").write_text("a file")
    with pytest.raises(ConversionError, match="cannot write"), new_version(tmp_path / "models" / "brain-tumor" / "1"):
        pytest.fail("must not begin")


@pytest.mark.parametrize("sent, left", [(signal.SIGINT, 0), (signal.SIGKILL, 1)])
def test_a_killed_converter_leaves_no_version(tmp_path, sent, left):
    target = tmp_path / "brain-tumor" / "1"
    with subprocess.Popen(
        [sys.executable, "-c", HALF_WAY, str(target)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        hidden = process.stdout.readline().strip()
        process.send_signal(sent)
        process.wait(30)
    remaining = listing(target.parent) if target.parent.exists() else []
    assert remaining == [hidden] * left
    assert not any(name.isdigit() for name in remaining)
