"""A file is known by its content, whatever its name is; what is no model is named, with what to do."""

import gzip
import io
import json
import os
import pickle
import tarfile
import zipfile

import h5py
import numpy as np
import pytest

from converter.errors import ConversionError
from converter.read.load import read_network
from converter.read.model_file import Form, look_at
from converter.read.network import Selection
from tests.converter.small_models import write


def zipped(*names, data=b"x"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, data)
    return file.getvalue()


def tarred(*names):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return file.getvalue()


def hdf5(fill):
    file = io.BytesIO()
    with h5py.File(file, "w") as written:
        fill(written)
    return file.getvalue()


def weights_alone(file):
    file.attrs.update(keras_version="2.11.0", layer_names=["dense"])


def hidden_elsewhere(file):
    file.attrs.update(keras_version="3.3.3", model_config="{}")
    file.create_dataset("kernel", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def linked_elsewhere(file):
    file.attrs.update(keras_version="2.15.0", model_config="{}")
    file["model_weights"] = h5py.ExternalLink("/etc/passwd", "/")


def too_large(file):
    file.attrs.update(keras_version="3.3.3", model_config="{}")
    file.create_dataset("kernel", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024), compression="gzip")


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 84966954\n"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "an empty file"),
        (LFS, "a Git LFS pointer to the model of 85 MB, not the model; run `git lfs pull`"),
        (b"\n<!DOCTYPE html><title>Sign in</title>", r"a web page \(Sign in\), not a model"),
        (b"hello", "a text file, not a model"),
        (bytes(range(128, 256)) * 8, "no model in a form that the converter knows"),
        (b"\x20\x00\x00\x00TFL3" + bytes(99), "a TensorFlow Lite model"),
        (b"\x08\x08\x12\x07pytorch\x1a\x052.3.0", "an ONNX model"),
        (b"\x0a\x48\x0a\x06args_0\x12\x0bPlaceholder", "perhaps a frozen TensorFlow graph"),
        (b"\x08\x01\x12\x9b\x92\x02", "the graph of a SavedModel without its weights; give the folder"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00" + b'{"a":{}}        ' + bytes(99), "safetensors"),
        (bytes(40) + bytes.fromhex("57fb808b247547db"), "a TensorFlow checkpoint"),
        (b'model_checkpoint_path: "checkpoint"', "the list of a TensorFlow checkpoint"),
        (pickle.dumps(zipfile.ZipFile, 4), "a Python pickle of zipfile.ZipFile, which is code and not loaded"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "a PyTorch model"),
        (zipped("archive/data.pkl", "archive/data/0"), "a PyTorch model"),
        (zipped("kernel.npy"), "NumPy arrays"),
        (zipped("readme.txt"), r"a zip archive, but no model is in it \(readme.txt\)"),
        (zipped("best/model.keras"), "a zip archive that contains a model; unpack it .*: best/model.keras"),
        (zipped("best/saved_model.pb", "best/variables/variables.index"), "contains a model; .*: best$"),
        (zipped("config.json", "metadata.json"), "a .keras archive without weights"),
        (zipped("config.json", "model.weights.h5"), "its configuration is damaged"),
        (zipped("config.json", "model.weights.h5", data=bytes(1 << 25)), "config.json unpacks to 33.6 MB; no model"),
        (zipped("config.json")[:-30], "begins like a .keras or other zip archive, but is damaged or incomplete"),
        (tarred("saved/saved_model.pb"), "a compressed tar archive that contains a model; .*: saved$"),
        (gzip.compress(b"model"), "a compressed file; unpack it"),
        (json.dumps({"modelTopology": {}, "generatedBy": "keras v2.4.0"}).encode(), r"TensorFlow.js model \(keras v2"),
        (json.dumps({"class_name": "Sequential", "config": {}}).encode(), r"a network without its weights"),
        (json.dumps({"class_names": ["a", "b"]}).encode(), "the description of a model; give the model itself"),
        (b"{", "a JSON file, not a model"),
        (hdf5(weights_alone), "holds weights alone of Keras 2.11.0, without the network"),
        (hdf5(lambda file: file.create_group("vars").parent.create_group("layers")), "holds weights alone, without"),
        (hdf5(lambda file: file.create_group("cjdata")), r"an HDF5 file, but no Keras model \(it holds cjdata\)"),
        (hdf5(hidden_elsewhere), "kernel is kept in another file"),
        (hdf5(linked_elsewhere), "model_weights is a link to what is elsewhere"),
        (hdf5(too_large), "declares .* of weights; no model of its size does"),
        (hdf5(weights_alone)[:600], r"an HDF5 file that ends after 600 bytes of \d"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "an image, not a model"),
    ],
    ids=lambda value: value if isinstance(value, str) else "content",  # archives hold the time at which they were made
)
def test_what_is_no_model_is_named(tmp_path, content, message):
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    with pytest.raises(ConversionError, match=message) as refused:
        look_at(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


def test_a_file_that_never_ends_is_not_unpacked(tmp_path):
    path = tmp_path / "model.tar.gz"
    with gzip.open(path, "wb", 1) as file:
        header = tarfile.TarInfo("zeros")
        header.size = 1 << 40
        file.write(header.tobuf())
        for _ in range(70):
            file.write(bytes(1 << 20))
    with pytest.raises(ConversionError, match=r"no model is in it \(zeros\)"):
        look_at(path)


@pytest.mark.parametrize(
    "names, message",
    [
        ((), r"a folder without a model in it \(empty\)"),
        (("notes.txt",), r"a folder without a model in it \(notes.txt\)"),
        (("a.keras", "deep/saved_model.pb"), "a folder that contains models; give one of them: a.keras, deep$"),
        (("checkpoint", "epoch-1.index"), "a folder with a TensorFlow checkpoint"),
        (("model.json", "group1-shard1of1.bin"), "a folder with a TensorFlow.js model"),
        (("keras_metadata.pb",), "a SavedModel folder without its saved_model.pb"),
        (("saved_model.pb", "assets.extra/metadata.json"), "has been converted already"),
    ],
)
def test_a_folder_without_a_model_is_named(tmp_path, names, message):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(ConversionError, match=message):
        look_at(tmp_path)


def test_an_hdf5_file_that_ends_the_process_that_reads_it(tmp_path):
    """One byte makes the attribute's string a sequence of an unknown kind, on which HDF5 crashes."""
    content = bytearray(hdf5(lambda file: file.attrs.update(model_config="{}", keras_version="3.3.3")))
    content[content.index(b"keras_version\0\0\0\x19\x01") + 17] = 0xFA
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    with pytest.raises(ConversionError, match=r"an HDF5 file, but damaged \(HDF5 cannot read it\)"):
        look_at(path)


def test_a_path_that_leads_nowhere(tmp_path):
    with pytest.raises(ConversionError, match="no such file or folder"):
        look_at(tmp_path / "model.keras")


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_a_pipe_is_not_waited_for(tmp_path, member):
    zipfile.ZipFile(write(tmp_path)).extractall(tmp_path / "unpacked")
    (tmp_path / "unpacked" / member).unlink()
    os.mkfifo(tmp_path / "unpacked" / member)
    with pytest.raises(ConversionError, match="no file"):
        read_network(look_at(tmp_path / "unpacked"), Selection())


def test_a_saved_model_is_a_folder_with_a_graph(tmp_path):
    (tmp_path / "saved_model.pb").touch()
    assert look_at(tmp_path).form is Form.SAVED_MODEL


@pytest.mark.parametrize("name", ["model.h5", "model", "model.txt"])
def test_a_keras_archive_may_have_any_name(tmp_path, name):
    file = look_at(write(tmp_path).rename(tmp_path / name))
    assert (file.form, file.config["class_name"]) == (Form.KERAS_ARCHIVE, "Functional")
    assert file.keras.startswith("3.")
    assert not file.is_keras_2


@pytest.mark.parametrize("version, is_keras_2", [("2.15.0", True), ("1.2.2", True), ("3.0.5", False), (None, True)])
def test_who_wrote_an_hdf5_file(tmp_path, version, is_keras_2):
    """Keras 2 names an input's shape otherwise than Keras 3."""
    path = tmp_path / "model.keras"
    config = {"class_name": "Sequential", "config": {"layers": [{"config": {"batch_input_shape": [None, 8, 8, 3]}}]}}
    attributes = {"model_config": json.dumps(config)} | ({"keras_version": np.bytes_(version)} if version else {})
    path.write_bytes(hdf5(lambda file: file.attrs.update(attributes)))
    file = look_at(path)
    assert (file.form, file.keras, file.is_keras_2) == (Form.HDF5, version or "", is_keras_2)
