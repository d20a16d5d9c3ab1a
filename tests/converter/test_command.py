"""The command as a process of its own."""

import errno
import os
import signal
import subprocess
import sys
import time

from converter.convert import Job, convert
from tests.converter.compare import listing
from tests.converter.small_models import write

COMMAND = [sys.executable, "-m", "converter"]


def run(*arguments):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120)


def start(*arguments):
    return subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_it_says_what_it_did_and_nothing_else(tmp_path):
    ended = run(write(tmp_path), tmp_path / "models", "--name", "mine", "--version", "12", "--keep-variables")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "scaling: merged into the first convolution" in ended.stdout
    assert "folded 2 batch normalizations" in ended.stdout
    assert "largest difference in probability " in ended.stdout
    assert " over 16 images" in ended.stdout
    assert (tmp_path / "models" / "mine" / "12" / "saved_model.pb").is_file()


def test_misspelt_fields_of_the_metadata_are_named(tmp_path):
    ended = run(write(tmp_path, scalling="tf", image={"filter": "nearest"}), tmp_path / "models")
    assert ended.returncode == 0
    assert "scalling is no field of model metadata" in ended.stderr
    assert "image.filter is no field of model metadata" in ended.stderr


def test_the_same_model_gives_the_same_file(tmp_path):
    """In another process, with other counters behind Keras' names."""
    source = write(tmp_path)
    assert run(source, tmp_path / "one").returncode == 0
    job = Job(source, source.with_suffix(".json"), tmp_path / "two", "brain-tumor", 1)
    convert(job)
    one = tmp_path / "one" / "brain-tumor" / "1"
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) == 3
    for file in files:
        assert (one / file).read_bytes() == (job.target / file).read_bytes(), file


def test_an_error_is_one_line(tmp_path):
    source = write(tmp_path)
    source.write_bytes(source.read_bytes()[:1000])
    ended = run(source, tmp_path / "models")
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert not (tmp_path / "models").exists()


def test_of_two_at_once_exactly_one_publishes(tmp_path):
    source = write(tmp_path)
    with start(source, tmp_path / "models") as one, start(source, tmp_path / "models") as other:
        ended = [(process, process.communicate(timeout=120)) for process in (one, other)]
    assert sorted(process.returncode for process, _ in ended) == [0, 1]
    (lost,) = (errors for process, (_, errors) in ended if process.returncode)
    assert "exists; a published version never changes" in lost
    assert listing(tmp_path / "models" / "brain-tumor") == ["1"]


def test_a_signal_ends_it_without_a_trace(tmp_path):
    """An image that never comes holds the converter where it can be met."""
    images = tmp_path / "images"
    images.mkdir()
    os.mkfifo(images / "slow.png")
    with start(write(tmp_path), tmp_path / "models", "--verify-with", images) as process:
        _wait_for_reader(images / "slow.png", process)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "interrupted; nothing was published\n"
    assert not (tmp_path / "models").exists()


def _wait_for_reader(fifo, process):
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            assert error.errno == errno.ENXIO  # nobody reads yet
            time.sleep(0.02)
        else:
            return
    raise AssertionError("the converter never came to the image")
