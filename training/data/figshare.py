"""Makes images of figshare's brain tumour set (Cheng 2017, doi:10.6084/m9.figshare.1512427), which names patients.

The set comes as four ZIPs of MATLAB files, one for each scan. The images are PNGs of 16 bits, which keep the grey
levels as they are: how 16 bits become 8 is decided where an image is decoded, by the same code for training and for the
gateway, and there the brightest half percent of the pixels does not darken all the others.
"""

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image
from tqdm import tqdm

from brain_tumor.atomic import atomic_folder
from brain_tumor.quality.patients import MANIFEST
from training.data.errors import DataError
from training.data.listing import MATLAB, is_data_set, matlab_files
from training.data.manifest import Manifest, read

FIGSHARE = "figshare"
_NAME = "figshare 1512427"
_FOLDS = "cvind"  # another file of the set, which divides the scans for a cross-validation
_COMPRESSION = 1  # of the PNGs: half the time of the usual 6, and 4 % more bytes
_MAX_BYTES = 64 << 20  # of a MATLAB file; the set's own have up to 2 MB

# What zipfile raises for a damaged or encrypted ZIP, or one of an unknown kind.
_DAMAGED = (OSError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError)


@dataclass(frozen=True)
class _File:
    """A MATLAB file, alone or in a ZIP.

    Attributes:
        name: Its name, without the suffix.
        size: Its bytes.
        place: Where it lies, for messages.
        content: Reads it.
    """

    name: str
    size: int
    place: str
    content: Callable[[], bytes]


def is_figshare(folder: Path) -> bool:
    """Whether a folder holds MATLAB files, or the set's ZIPs of them, and no images."""
    return folder.is_dir() and any(matlab_files(folder)) and not is_data_set(folder)


def write(folder: Path, out: Path) -> int:
    """Make OUT/CLASS/NAME.png of the MATLAB files, and a manifest that names patients, by an atomic write.

    Where ``out`` holds the images of these files already, nothing is done.

    Args:
        folder: The folder of the MATLAB files, or of ZIPs of them, or of folders with either.
        out: The folder to make.

    Returns:
        The number of images.

    Raises:
        DataError: A file is damaged or no scan of this set (the message names it), or ``out`` holds something else.
        OSError: ``out`` cannot be written.
    """
    files = _files(folder)
    listed = "\n".join(f"{file.name} {file.size}" for file in files)
    source = {"files": len(files), "names_and_sizes": hashlib.sha256(listed.encode()).hexdigest()}
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if not (out / MANIFEST).is_file() or read(out / MANIFEST).others.get("source") != source:
            raise DataError(
                f"{out} exists and was not made of these files: remove it, or name another folder with --out"
            )
        return len(files)
    with atomic_folder(out, replace_empty=True) as scratch:
        with ThreadPoolExecutor() as pool:
            results = tqdm(pool.map(partial(_convert, scratch), files), total=len(files), desc="reading", unit="image")
            entries = {entry["file"]: entry for entry in results}
        Manifest(_NAME, entries, {"source": source}).save(scratch / MANIFEST)
    return len(files)


def _convert(out: Path, file: _File) -> dict[str, Any]:
    """Write a file's image; returns its entry in the manifest."""
    from training.data.matlab import MatlabError, read_scan  # imports h5py, which no other source needs

    try:
        scan = read_scan(_content(file))
    except MatlabError as error:
        raise DataError(f"cannot read {file.place}: {error}") from error
    name = f"{scan.class_name}/{file.name}.png"
    (out / scan.class_name).mkdir(exist_ok=True)
    Image.fromarray(scan.pixels).save(out / name, compress_level=_COMPRESSION)
    return {"file": name, "patient": scan.patient, "class": scan.class_name}


def _files(folder: Path) -> list[_File]:
    """The set's files, by name; one that lies in a ZIP and unpacked beside it is taken once."""
    files: dict[str, _File] = {}
    for path in matlab_files(folder):
        for file in _in_zip(path) if path.suffix.lower() == ".zip" else [_alone(path)]:
            if file.name.casefold() == _FOLDS:
                continue
            if file.size > _MAX_BYTES:
                raise DataError(f"{file.place} has {file.size / 1e6:,.0f} MB, and no scan of this set has so many")
            first = files.setdefault(file.name, file)
            if first is not file and (first.size != file.size or _content(first) != _content(file)):
                raise DataError(f"{first.place} and {file.place} have one name: keep one")
    if not files:
        raise DataError(f"{folder} holds no MATLAB file of a scan")
    return [files[name] for name in sorted(files)]


def _content(file: _File) -> bytes:
    try:
        return file.content()
    except _DAMAGED as error:
        raise DataError(f"cannot read {file.place}: it is damaged; fetch it again") from error


def _alone(path: Path) -> _File:
    return _File(path.stem, path.stat().st_size, str(path), path.read_bytes)


def _in_zip(path: Path) -> Iterator[_File]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except _DAMAGED as error:
        raise DataError(f"cannot read {path}: it is damaged or incomplete; fetch it again") from error
    for member in members:
        name = PurePosixPath(member.filename)
        if name.suffix.lower() == MATLAB and not name.name.startswith("."):
            yield _File(name.stem, member.file_size, f"{path}, {name}", partial(_unpacked, path, member.filename))


def _unpacked(path: Path, member: str) -> bytes:
    with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
        return stream.read(_MAX_BYTES)
