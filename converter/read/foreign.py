"""What a file is that is no model the converter reads, and what its owner should do: one sentence each."""

import gzip
import io
import json
import lzma
import pickletools
import re
import tarfile
import zlib
from bz2 import BZ2File
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

SAVE = "save the model with model.save('MODEL.keras') in the Keras that trained it"
_BEGINNING = 4096  # bytes
_MAX_JSON = 1 << 26  # bytes
_MAX_UNPACKED = 1 << 26  # bytes of an archive that are unpacked for its list of names
_MAX_NAMES = 2000  # of a folder or an archive
_LISTED = 6  # names in a message
_MODEL_NAME = re.compile(r"(.*\.(keras|h5|hdf5|hdf|onnx|tflite|pt|pth)|(.*/)?saved_model\.pb)", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")  # characters that no text has
_LFS = b"version https://git-lfs.github.com/spec/"
_TFLITE, _PICKLE = b"TFL3", re.compile(rb"\x80[\x02-\x05]")
_TORCH_PICKLE = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"  # torch.serialization.MAGIC_NUMBER, pickled
_CHECKPOINT_INDEX = bytes.fromhex("57fb808b247547db")  # the end of LevelDB's tables
_SIGNATURES = {
    b"\x89PNG": "an image, not a model",
    b"\xff\xd8\xff": "an image, not a model",
    b"GIF8": "an image, not a model",
    b"%PDF": "a PDF document, not a model",
    b"\x93NUMPY": "a NumPy array, not a model",
    b"MATLAB": "a MATLAB file, so data and not a model",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive; unpack it and give the model inside",
    b"Rar!": "a RAR archive; unpack it and give the model inside",
}
# Compressed files, and what unpacks them.
_COMPRESSED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": BZ2File,
    b"\xfd7zXZ\x00": lzma.open,
}


def beginning(path: Path) -> bytes:
    """The first bytes of a file."""
    with path.open("rb") as file:
        return file.read(_BEGINNING)


def amount(size: int) -> str:
    """A number of bytes as people say it."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}" if unit != "bytes" else f"{size} {unit}"
        size /= 1000  # type: ignore[assignment]
    return f"{size:.3g} GB" if size < 1e6 else "more than 1000 TB"


def listed(names: Iterable[str]) -> str:
    """A few names, separated by commas."""
    every = list(names)
    return ", ".join(every[:_LISTED]) + (f" and {len(every) - _LISTED} more" if len(every) > _LISTED else "")


def names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted; of very many, some."""
    names = []
    for entry in folder.iterdir():
        names.append(entry.name)
        if len(names) >= _MAX_NAMES:
            break
    return sorted(names)


def describe(path: Path, start: bytes) -> str:
    """What a file is that is neither a zip archive nor HDF5."""
    if not start:
        return "an empty file; copy or download it again"
    if start.startswith(_LFS):
        size = re.search(rb"^size (\d{1,18})$", start, re.MULTILINE)
        whole = f" of {amount(int(size[1]))}" if size else ""
        return f"a Git LFS pointer to the model{whole}, not the model; run `git lfs pull` in its repository"
    for signature, sentence in _SIGNATURES.items():
        if start.startswith(signature):
            return sentence
    return (
        _by_other_library(path, start)
        or _compressed(path, start)
        or _text(path, start)
        or _tensorflow(path, start)
        or f"no model in a form that the converter knows; {SAVE}"
    )


def describe_archive(names: list[str]) -> str:
    """What a zip archive is that is no .keras archive."""
    if any(name.rsplit("/", 1)[-1] == "data.pkl" for name in names):
        return f"a PyTorch model; the converter reads Keras models and TensorFlow SavedModels: {_EXPORT}"
    if names and all(name.endswith(".npy") for name in names):
        return "NumPy arrays (.npz), not a model"
    return _packed("a zip archive", names)


def describe_folder(path: Path, names: list[str]) -> str:
    """What a folder is that is no SavedModel and no unpacked .keras archive."""
    inner = [f"{name}/{below}" for name in names[:100] if (path / name).is_dir() for below in names_in(path / name)]
    models = [name.removesuffix("/saved_model.pb") for name in [*names, *inner] if _MODEL_NAME.fullmatch(name)]
    if models:
        return f"a folder that contains models; give one of them: {listed(models)}"
    if any(name.endswith(".index") for name in names):
        return f"a folder with a TensorFlow checkpoint: weights without the network; {_WEIGHTS}"
    if "model.json" in names:
        return f"a folder with a TensorFlow.js model; {SAVE}"
    if "keras_metadata.pb" in names or "variables" in names:
        return "a SavedModel folder without its saved_model.pb; copy or download the whole folder again"
    return f"a folder without a model in it ({listed(names) or 'empty'})"


_EXPORT = "train it in Keras, or export it as a SavedModel"
_WEIGHTS = "build the model in the code that trained it, load the weights, and save it with model.save('MODEL.keras')"


def _packed(what: str, names: list[str]) -> str:
    models = [name for name in names if _MODEL_NAME.fullmatch(name) or name.endswith("/config.json")]
    if models:
        inside = [name.removesuffix("/saved_model.pb").removesuffix("/config.json") for name in models]
        return f"{what} that contains a model; unpack it and give what is inside: {listed(inside)}"
    return f"{what}, but no model is in it ({listed(names) or 'empty'})"


def _by_other_library(path: Path, start: bytes) -> str | None:
    if start[4:8] == _TFLITE:
        return f"a TensorFlow Lite model, which cannot be changed back; {SAVE}, before it is made into TensorFlow Lite"
    if start.startswith(_TORCH_PICKLE):
        return describe_archive(["data.pkl"])
    if _PICKLE.match(start):
        return f"a Python pickle{_pickled(start)}, which is code and not loaded; {SAVE}"
    length = int.from_bytes(start[:8], "little")
    if start[8:9] == b"{" and length < path.stat().st_size:
        return f"safetensors: weights without the network; {_WEIGHTS}"
    return None


def _pickled(start: bytes) -> str:
    """The first class that a pickle names."""
    try:
        strings: list[str] = []
        for opcode, argument, _ in pickletools.genops(io.BytesIO(start)):
            if opcode.name == "GLOBAL":
                return f" of {str(argument).replace(' ', '.')}"
            if opcode.name == "STACK_GLOBAL":
                return f" of {'.'.join(strings[-2:])}"
            if "UNICODE" in opcode.name:
                strings.append(str(argument))
    except Exception:  # it ends where the beginning ends, or is damaged
        return ""
    return ""


def _compressed(path: Path, start: bytes) -> str | None:
    unpack = next((unpack for signature, unpack in _COMPRESSED.items() if start.startswith(signature)), None)
    if not unpack and start[257:262] != b"ustar":
        return None
    what = "a compressed tar archive" if unpack else "a tar archive"
    names: list[str] = []
    try:
        with (unpack or open)(path, "rb") as file, tarfile.open(fileobj=_Bounded(file), mode="r|") as archive:
            for member in archive:
                names.append(member.name)
                if len(names) >= _MAX_NAMES:
                    break
    except (OSError, EOFError, ValueError, tarfile.TarError, zlib.error, lzma.LZMAError):
        if not names:
            return "a compressed file; unpack it and give the model inside"
    return _packed(what, names)


class _Bounded(io.RawIOBase):
    """A file that raises EOFError at its end, or after ``_MAX_UNPACKED`` bytes: tarfile seeks on and on behind it."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file, self._left = file, _MAX_UNPACKED

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(data)
        if not data:
            raise EOFError
        return data


def _text(path: Path, start: bytes) -> str | None:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if re.match(rb"<!doctype html|<html|<\?xml|<head", text, re.IGNORECASE):
        title = re.search(rb"<title[^>]*>\s*([^<]{1,60})", text, re.IGNORECASE)
        shown = f" ({title[1].decode('utf-8', 'replace').strip()})" if title else ""
        return f"a web page{shown}, not a model: the download went wrong; download the file itself"
    if text[:1] in (b"{", b"["):
        return _json(path)
    if start.startswith(b"model_checkpoint_path:"):
        return f"the list of a TensorFlow checkpoint: weights without the network; {_WEIGHTS}"
    try:
        start[:-3].decode("utf-8")  # the end may be in the middle of a character
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(start) else "a text file, not a model"


def _json(path: Path) -> str:
    try:
        document = json.loads(path.read_bytes()) if path.stat().st_size < _MAX_JSON else {}
    except (ValueError, RecursionError):
        document = {}
    fields = document if isinstance(document, dict) else {}
    if {"modelTopology", "weightsManifest"} & set(fields):
        return f"a TensorFlow.js model ({fields.get('generatedBy') or 'its model.json'}); {SAVE}"
    if {"class_name", "config"} <= set(fields):
        version = f" of Keras {fields['keras_version']}" if "keras_version" in fields else ""
        return f"a network{version} without its weights (model.to_json()); {_WEIGHTS}"
    if "class_names" in fields:
        return "the description of a model; give the model itself"
    return "a JSON file, not a model"


def _tensorflow(path: Path, start: bytes) -> str | None:
    if _is_checkpoint(path):
        return f"a TensorFlow checkpoint: weights without the network; {_WEIGHTS}"
    # Protocol buffers have no signature. SavedModel and ONNX begin with field 1, a version, and then field 2; a graph
    # with field 1, its first node, which begins with field 1, its name.
    if start.startswith(b"\x08\x01\x12"):
        return f"the graph of a SavedModel without its weights; give the folder that holds both, such as {path.parent}"
    if re.match(rb"\x08[\x02-\x20](\x12|\x3a)", start):
        return f"an ONNX model; the converter reads Keras models and TensorFlow SavedModels: {_EXPORT}"
    if re.match(rb"\x0a[\x00-\xff]{1,3}\x0a", start):
        return (
            "perhaps a frozen TensorFlow graph (.pb), which does not name its inputs and outputs; "
            "save it as a SavedModel with tf.saved_model.save(...), or the Keras model with model.save('MODEL.keras')"
        )
    return None


def _is_checkpoint(path: Path) -> bool:
    """A checkpoint's index, or data beside an index of the same name."""
    index = path.with_name(path.name.split(".data-")[0] + ".index") if ".data-" in path.name else path
    if not index.is_file() or index.stat().st_size < len(_CHECKPOINT_INDEX):
        return False
    with index.open("rb") as file:
        file.seek(-len(_CHECKPOINT_INDEX), io.SEEK_END)
        return file.read() == _CHECKPOINT_INDEX
