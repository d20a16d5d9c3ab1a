"""What a model file is, by its content: people rename files, and Keras itself goes by the suffix.

Looking costs little whatever the file is: its beginning, an archive's list of names, an HDF5 file's list of data sets.
"""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from converter.errors import ConversionError
from converter.read import foreign
from converter.read.containers import MAX_CONFIG, check_member, open_archive, open_hdf5, read_member, read_small

CONFIG, METADATA = "config.json", "metadata.json"  # in a .keras archive
WEIGHTS = ("model.weights.h5", "model.weights.npz")
SAVED_MODEL_GRAPHS = ("saved_model.pb", "saved_model.pbtxt")
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HDF5_OFFSETS = (0, 512, 1024, 2048)  # a user block of this size may stand before it
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_VERSION = re.compile(r"\d[\w.+-]{0,30}")


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
        config: The model's configuration as Keras wrote it, without what only training needs; empty for a SavedModel.
    """

    path: Path
    form: Form
    keras: str
    config: dict[str, Any]

    @property
    def kind(self) -> str:
        """What it is and who wrote it, such as "HDF5 of Keras 2.15.0"."""
        return f"{self.form}{_by(self.keras)}"

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Let a refusal of the model begin with the file, its form, and the Keras that wrote it."""
        try:
            yield
        except ConversionError as error:
            error.args = (f"{self.path} ({self.kind}): {error}",)
            raise
        except RecursionError:
            raise ConversionError(f"{self.path} ({self.kind}): its configuration is nested too deeply") from None

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
        return _look_at(path)
    except (ConversionError, OSError, ValueError) as error:  # ValueError: a path with a null character
        raise ConversionError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _look_at(path: Path) -> ModelFile:
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise ConversionError("no such file or folder")
    if not path.is_file():
        raise ConversionError("neither a file nor a folder")
    return _file(path)


def unpacked_weights(file: ModelFile, folder: Path) -> Path:
    """The weights of a ``.keras`` archive, packed or not, as a file in another folder; they are checked.

    Raises:
        ConversionError: They are damaged, or larger than such an archive can hold.
    """
    if file.form is Form.KERAS_FOLDER:
        name = next((name for name in WEIGHTS if (file.path / name).is_file()), None)
        if name is None:
            raise ConversionError("its weights are no file; copy or download it again")
        (folder / name).symlink_to((file.path / name).resolve())
    else:
        with open_archive(file.path) as archive:
            name = next(name for name in WEIGHTS if name in archive.namelist())
            check_member(archive, name)
            with archive.open(name) as packed, (folder / name).open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
    if name.endswith(".h5"):
        with open_hdf5(folder / name):  # checks it
            pass
    return folder / name


def _file(path: Path) -> ModelFile:
    beginning = foreign.beginning(path)
    if beginning.startswith(_ZIP):
        return _archive(path)
    for offset in _HDF5_OFFSETS:
        if beginning[offset:].startswith(HDF5_SIGNATURE) and not beginning.startswith(b"MATLAB"):
            return _hdf5(path)
    raise ConversionError(foreign.describe(path, beginning))


def _archive(path: Path) -> ModelFile:
    with open_archive(path) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        if CONFIG not in sizes:
            raise ConversionError(foreign.describe_archive(list(sizes)))
        if not any(name in sizes for name in WEIGHTS):
            raise ConversionError("a .keras archive without weights; save the model with model.save(...)")
        config = _json(read_member(archive, CONFIG))
        metadata = _json(read_member(archive, METADATA)) if METADATA in sizes else {}
    return _keras(path, Form.KERAS_ARCHIVE, metadata, config)


def _folder(path: Path) -> ModelFile:
    names = foreign.names_in(path)
    if any(name in names for name in SAVED_MODEL_GRAPHS):
        if (path / "assets.extra" / METADATA).is_file():
            raise ConversionError("has been converted already; give the folder above it to the model server")
        return ModelFile(path, Form.SAVED_MODEL, "", {})
    if CONFIG in names and any(name in names for name in WEIGHTS):
        texts = {name: read_small(path / name) for name in (CONFIG, METADATA) if name in names}
        metadata = _json(texts[METADATA]) if METADATA in texts else {}
        return _keras(path, Form.KERAS_FOLDER, metadata, _json(texts[CONFIG]))
    raise ConversionError(foreign.describe_folder(path, names))


def _hdf5(path: Path) -> ModelFile:
    with open_hdf5(path) as file:
        config, version = (file.attrs.get(name) for name in ("model_config", "keras_version"))
        names = set(file)
        weights = "layer_names" in file.attrs or {"layers", "_layer_checkpoint_dependencies"} & names
    if config is None and weights:
        raise ConversionError(
            f"holds weights alone{_by(_text(version))}, without the network; build the model in the code that "
            "trained it, load_weights(...) into it, and save it with model.save('MODEL.keras')"
        )
    if config is None:
        inside = f" (it holds {foreign.listed(sorted(names))})" if names else ""
        raise ConversionError(f"an HDF5 file, but no Keras model{inside}")
    return _keras(path, Form.HDF5, {"keras_version": _text(version)}, _json(_text(config).encode()))


def _keras(path: Path, form: Form, metadata: dict[str, Any], config: dict[str, Any]) -> ModelFile:
    version = str(metadata.get("keras_version", ""))
    return ModelFile(path, form, version if _VERSION.fullmatch(version) else "", config)


def _has_key(config: Any, key: str) -> bool:
    parts = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    return (isinstance(config, dict) and key in config) or any(_has_key(part, key) for part in parts)


def _by(version: str) -> str:
    return f" of Keras {version}" if version else ""


def _json(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text, object_hook=_without_compiling) if len(text) <= MAX_CONFIG else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ConversionError("its configuration is damaged; copy or download it again")
    return document


def _without_compiling(part: dict[str, Any]) -> dict[str, Any]:
    part.pop("compile_config", None)  # optimizer, loss and metrics, of which one may be the user's own code
    return part


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else "" if value is None else str(value)
