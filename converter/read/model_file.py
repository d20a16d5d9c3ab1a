"""What a model file is, by its content: people rename files, and Keras itself goes by the suffix.

Looking costs little whatever the file is: its beginning, an archive's list of names, an HDF5 file's list of data sets.
"""

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import h5py

from converter.errors import ConversionError
from converter.read import foreign

CONFIG, METADATA = "config.json", "metadata.json"  # in a .keras archive
WEIGHTS = ("model.weights.h5", "model.weights.npz")
SAVED_MODEL_GRAPHS = ("saved_model.pb", "saved_model.pbtxt")
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HDF5_OFFSETS = (0, 512, 1024, 2048)  # a user block of this size may stand before it
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_MAX_CONFIG = 1 << 26  # bytes; a large model's configuration has a few hundred thousand
_VERSION = re.compile(r"\d[\w.+-]{0,30}")
_MAX_ENTRIES = 10_000  # of an archive, a folder, or an HDF5 file
_MAX_RATIO = 200  # unpacked to packed; weights are random numbers, and shrink little
_REHEARSAL_S, _REHEARSAL_RATE = 30.0, 2e7  # seconds, and bytes a second; a disk reads far more
_SLACK = 1 << 24  # bytes that may be unpacked whatever the ratio
# PKZIP's APPNOTE, 4.3.16: the end record's signature and size, the longest comment, and where the counts stand.
_ZIP_END, _ZIP_END_SIZE, _ZIP_MAX_COMMENT = b"PK\x05\x06", 22, 1 << 16


class Form(StrEnum):
    """The forms of a model that the converter reads."""

    KERAS_ARCHIVE = ".keras"
    KERAS_FOLDER = ".keras, unpacked"
    HDF5 = "HDF5"
    SAVED_MODEL = "SavedModel"


@dataclass(frozen=True)
class ModelFile:
    """A file or folder that holds a model.

    Attributes:
        path: Where it is.
        form: What it is.
        keras: The version of Keras that wrote it, such as "3.3.3"; empty where it does not say.
        config: The model's configuration as Keras wrote it; empty for a SavedModel.
    """

    path: Path
    form: Form
    keras: str
    config: dict[str, Any]

    @property
    def kind(self) -> str:
        """What it is and who wrote it, such as "HDF5 of Keras 2.15.0"."""
        return f"{self.form}{_by(self.keras)}"

    @property
    def is_keras_2(self) -> bool:
        """Whether Keras 2, or the Keras before it, wrote the file; of a file that does not say, by its input."""
        return self.keras.startswith(("1.", "2.")) or (not self.keras and _has_key(self.config, "batch_input_shape"))


def look_at(path: Path) -> ModelFile:
    """What a path holds.

    Raises:
        ConversionError: No model that can be read; the message says what it is instead, and what to do.
    """
    try:
        if path.is_dir():
            return _folder(path)
        if not path.exists():
            raise ConversionError(f"{path}: no such file or folder")
        if not path.is_file():
            raise ConversionError(f"{path}: neither a file nor a folder")
        return _file(path)
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise ConversionError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _file(path: Path) -> ModelFile:
    beginning = foreign.beginning(path)
    if beginning.startswith(_ZIP):
        return _archive(path)
    for offset in _HDF5_OFFSETS:
        if beginning[offset:].startswith(HDF5_SIGNATURE) and not beginning.startswith(b"MATLAB"):
            return _hdf5(path)
    raise ConversionError(f"{path}: {foreign.describe(path, beginning)}")


def _archive(path: Path) -> ModelFile:
    with open_archive(path) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        if CONFIG not in sizes:
            raise ConversionError(f"{path}: {foreign.describe_archive(list(sizes))}")
        if not any(name in sizes for name in WEIGHTS):
            raise ConversionError(f"{path}: a .keras archive without weights; save the model with model.save(...)")
        config = _json(path, read_member(archive, CONFIG))
        metadata = _json(path, read_member(archive, METADATA)) if METADATA in sizes else {}
    return _keras(path, Form.KERAS_ARCHIVE, metadata, config)


def _folder(path: Path) -> ModelFile:
    names = foreign.names_in(path)
    if any(name in names for name in SAVED_MODEL_GRAPHS):
        if (path / "assets.extra" / METADATA).is_file():
            raise ConversionError(f"{path}: has been converted already; give the folder above it to the model server")
        return ModelFile(path, Form.SAVED_MODEL, "", {})
    if CONFIG in names and any(name in names for name in WEIGHTS):
        texts = {name: (path / name).read_bytes()[: _MAX_CONFIG + 1] for name in (CONFIG, METADATA) if name in names}
        metadata = _json(path, texts[METADATA]) if METADATA in texts else {}
        return _keras(path, Form.KERAS_FOLDER, metadata, _json(path, texts[CONFIG]))
    raise ConversionError(f"{path}: {foreign.describe_folder(path, names)}")


def _hdf5(path: Path) -> ModelFile:
    with open_hdf5(path) as file:
        config, version = (file.attrs.get(name) for name in ("model_config", "keras_version"))
        names = set(file)
        weights = "layer_names" in file.attrs or {"layers", "_layer_checkpoint_dependencies"} & names
    if config is None and weights:
        raise ConversionError(
            f"{path}: holds weights alone{_by(_text(version))}, without the network; build the model in the code that "
            "trained it, load_weights(...) into it, and save it with model.save('MODEL.keras')"
        )
    if config is None:
        inside = f" (it holds {foreign.listed(sorted(names))})" if names else ""
        raise ConversionError(f"{path}: an HDF5 file, but no Keras model{inside}")
    return _keras(path, Form.HDF5, {"keras_version": _text(version)}, _json(path, _text(config).encode()))


def _keras(path: Path, form: Form, metadata: dict[str, Any], config: dict[str, Any]) -> ModelFile:
    version = str(metadata.get("keras_version", ""))
    return ModelFile(path, form, version if _VERSION.fullmatch(version) else "", config)


def _has_key(config: Any, key: str) -> bool:
    parts = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    return (isinstance(config, dict) and key in config) or any(_has_key(part, key) for part in parts)


def _by(version: str) -> str:
    return f" of Keras {version}" if version else ""


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip archive whose list of names is of reasonable length.

    Raises:
        ConversionError: It is damaged, also where the block that reads it finds that out.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _ZIP_END_SIZE - _ZIP_MAX_COMMENT))
        tail = file.read()
    end = tail.rfind(_ZIP_END)
    if end >= 0 and int.from_bytes(tail[end + 12 : end + 16], "little") > _MAX_CONFIG:
        raise ConversionError(f"{path}: an archive of too many files to be a model")
    try:
        with zipfile.ZipFile(path) as archive:
            if len(archive.infolist()) > _MAX_ENTRIES:
                raise ConversionError(f"{path}: an archive of too many files to be a model")
            yield archive
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise ConversionError(
            f"{path}: begins like a .keras or other zip archive, but is damaged or incomplete "
            f"({foreign.amount(size)}; {foreign.one_line(str(error), 80)}); copy or download it again"
        ) from None


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A small member of an archive.

    Raises:
        ConversionError: It is not small.
    """
    check_member(archive, name, _MAX_CONFIG)
    return archive.read(name)


def check_member(archive: zipfile.ZipFile, name: str, limit: int | None = None) -> None:
    """Refuse a member of an archive that is far larger unpacked than packed, or larger than ``limit`` bytes.

    Raises:
        ConversionError: It is.
    """
    info = archive.getinfo(name)
    if info.file_size > max(_SLACK, _MAX_RATIO * info.compress_size) or (limit and info.file_size > limit):
        raise ConversionError(f"{archive.filename}: {name} unpacks to {foreign.amount(info.file_size)}; no model does")


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file that holds all its data itself, and declares no more than it can hold.

    Raises:
        ConversionError: It does not, or is damaged, also where the block that reads it finds that out.
    """
    _rehearse(path)
    try:
        with h5py.File(path, "r") as file:
            _check_hdf5(path, file)
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeError) as error:
        raise ConversionError(f"{path}: {_damage(str(error))}") from None


def _rehearse(path: Path) -> None:
    script = Path(__file__).with_name("hdf5_rehearsal.py")
    command = [sys.executable, "-I", str(script), str(path.resolve()), str(_most(path))]
    limit = _REHEARSAL_S + path.stat().st_size / _REHEARSAL_RATE
    try:
        status = subprocess.run(command, capture_output=True, check=False, timeout=limit).returncode  # noqa: S603
    except subprocess.TimeoutExpired:
        raise ConversionError(f"{path}: {_damage('it cannot be read to its end')}") from None
    if status < 0:  # a signal, and no exception
        raise ConversionError(f"{path}: {_damage('HDF5 cannot read it')}")


def _most(path: Path) -> int:
    """The most bytes that a file of weights can hold."""
    return _SLACK + _MAX_RATIO * path.stat().st_size


def _check_hdf5(path: Path, file: h5py.File) -> None:
    declared = count = 0

    def check(name: str, part: Any) -> None:
        nonlocal declared, count
        count += 1
        if count > _MAX_ENTRIES:
            raise ConversionError(f"{path}: an HDF5 file of too many parts to be a model")
        if isinstance(part, h5py.Dataset):
            if part.external or part.is_virtual:
                raise ConversionError(f"{path}: {name} is kept in another file; save the model with model.save(...)")
            declared += part.nbytes

    file.visititems(check)
    if declared > _most(path):
        raise ConversionError(f"{path}: declares {foreign.amount(declared)} of weights; no model of its size does")


def _damage(message: str) -> str:
    truncated = re.search(r"truncated file: eof = (\d+).*stored_eof = (\d+)", message)
    if truncated:
        held, whole = (foreign.amount(int(number)) for number in truncated.groups())
        return f"an HDF5 file that ends after {held} of {whole}; copy or download it again"
    return f"an HDF5 file, but damaged ({foreign.one_line(message)}); copy or download it again"


def _json(path: Path, text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text) if len(text) <= _MAX_CONFIG else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ConversionError(f"{path}: its configuration is damaged; copy or download it again")
    return document


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else "" if value is None else str(value)
