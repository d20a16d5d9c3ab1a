"""TFRecord files as TensorFlow writes them."""

from pathlib import Path

import pytest
import tensorflow as tf

from portable_model_server.serving.tfrecord import TFRecordError, read_records

RECORDS = [b"", b"a", bytes(range(256)) * 50]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "records"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in RECORDS:
            writer.write(record)
    return path


def test_what_tensorflow_wrote(file: Path) -> None:
    assert list(read_records(file)) == RECORDS


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert list(read_records(tmp_path / "empty")) == []


@pytest.mark.parametrize("size", [1, 11, 13, 15, 20, -1, -5])
def test_a_file_cut_short(file: Path, size: int) -> None:
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(TFRecordError, match="truncated"):
        list(read_records(file))


@pytest.mark.parametrize("position", [0, 7, 8, 12, 16, 28, 29, 100, -1])
def test_a_flipped_bit(file: Path, position: int) -> None:
    data = bytearray(file.read_bytes())
    data[position] ^= 1
    file.write_bytes(data)
    with pytest.raises(TFRecordError, match="corrupted"):
        list(read_records(file))


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(TFRecordError, match="No such file"):
        list(read_records(tmp_path / "none"))
