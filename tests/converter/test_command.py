"""The command, run as a process."""

import signal
import subprocess
import sys
import time

import pytest

from converter.convert import Job, convert
from tests.converter.compare import listing
from tests.converter.small_models import write

COMMAND = [sys.executable, "-m", "converter"]


def run(*arguments):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120)


def start(*arguments):
    return subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def ended(source, tmp_path_factory):
    """The command's end, and the models folder that it wrote into."""
    models = tmp_path_factory.mktemp("command") / "models"
    return run(source, models, "--name", "mine", "--version", "12"), models


def test_it_prints_what_it_did_and_nothing_else(ended):
    command, models = ended
    assert (command.returncode, command.stderr) == (0, "")
    assert "folded 2 batch normalizations" in command.stdout
    assert "largest difference in probability " in command.stdout
    assert " over 16 images" in command.stdout
    assert (models / "mine" / "12" / "saved_model.pb").is_file()


def test_the_same_model_gives_the_same_file(source, ended, tmp_path):
    """In another process, where the counters in Keras' names have other values."""
    _, models = ended
    first = models / "mine" / "12"
    job = Job(source, source.with_suffix(".json"), tmp_path / "models", "mine", 12)
    convert(job)
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(files) == 3
    for file in files:
        assert (first / file).read_bytes() == (job.target / file).read_bytes(), file


def test_an_error_is_one_line(tmp_path):
    source = write(tmp_path)
    source.write_bytes(source.read_bytes()[:1000])
    ended = run(source, tmp_path / "models")
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert not (tmp_path / "models").exists()


def test_of_two_at_once_exactly_one_publishes(source, tmp_path):
    with start(source, tmp_path / "models") as first, start(source, tmp_path / "models") as second:
        ended = [(process, process.communicate(timeout=120)) for process in (first, second)]
    assert sorted(process.returncode for process, _ in ended) == [0, 1]
    (errors,) = (errors for process, (_, errors) in ended if process.returncode)
    assert "exists; a published version never changes" in errors
    assert listing(tmp_path / "models" / "brain-tumor") == ["1"]


def test_a_signal_ends_it_without_a_trace(source, tmp_path):
    """The signal comes while the converter writes, and what it wrote goes."""
    with start(source, tmp_path / "models") as process:
        _wait_for_a_hidden_folder(tmp_path / "models" / "brain-tumor", process)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "interrupted; nothing was published\n"
    assert not (tmp_path / "models").exists()


def _wait_for_a_hidden_folder(models, process):
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if models.is_dir() and listing(models):
            return
        time.sleep(0.005)
    raise AssertionError("the converter never wrote")
