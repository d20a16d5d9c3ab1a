"""Zip archives and HDF5 files, opened only if they hold about as much as they weigh."""

import errno
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from converter.errors import ConversionError, one_line
from converter.read.foreign import amount

MAX_CONFIG = 1 << 26  # bytes; a large model's configuration has a few hundred thousand
_MAX_ENTRIES = 10_000  # of an archive, or an HDF5 file
_MAX_RATIO = 200  # unpacked to packed; weights are random numbers, and shrink little
_SLACK = 1 << 24  # bytes that may be unpacked whatever the ratio
_REHEARSAL_S, _REHEARSAL_RATE = 30.0, 2e7  # seconds, and bytes a second; a disk reads far more
# PKZIP's APPNOTE, 4.3.16: the end record's signature and size, the longest comment, and where the counts stand.
_ZIP_END, _ZIP_END_SIZE, _ZIP_MAX_COMMENT = b"PK\x05\x06", 22, 1 << 16


def read_small(path: Path) -> bytes:
    """The content of a file of JSON.

    Raises:
        OSError: It cannot be read, is no file, such as a pipe, which may never end, or is not small.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "no file", str(path))
    with path.open("rb") as file:
        content = file.read(MAX_CONFIG + 1)
    if len(content) > MAX_CONFIG:
        raise OSError(errno.EFBIG, f"larger than {amount(MAX_CONFIG)}", str(path))
    return content


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
    if end >= 0 and int.from_bytes(tail[end + 12 : end + 16], "little") > MAX_CONFIG:
        raise ConversionError("an archive of too many files to be a model")
    try:
        with zipfile.ZipFile(path) as archive:
            if len(archive.infolist()) > _MAX_ENTRIES:
                raise ConversionError("an archive of too many files to be a model")
            yield archive
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise ConversionError(
            "begins like a .keras or other zip archive, but is damaged or incomplete "
            f"({amount(size)}; {one_line(error, 80)}); copy or download it again"
        ) from None


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A small member of an archive.

    Raises:
        ConversionError: It is not small.
    """
    check_member(archive, name, MAX_CONFIG)
    return archive.read(name)


def check_member(archive: zipfile.ZipFile, name: str, limit: int | None = None) -> None:
    """Refuse a member of an archive that is far larger unpacked than packed, or larger than ``limit`` bytes.

    Raises:
        ConversionError: It is.
    """
    info = archive.getinfo(name)
    if info.file_size > max(_SLACK, _MAX_RATIO * info.compress_size) or (limit and info.file_size > limit):
        raise ConversionError(f"{name} unpacks to {amount(info.file_size)}; no model does")


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
        raise ConversionError(_damage(error)) from None


def _rehearse(path: Path) -> None:
    script = Path(__file__).with_name("hdf5_rehearsal.py")
    command = [sys.executable, "-I", str(script), str(path.resolve()), str(_most(path))]
    limit = _REHEARSAL_S + path.stat().st_size / _REHEARSAL_RATE
    try:
        status = subprocess.run(command, capture_output=True, check=False, timeout=limit).returncode  # noqa: S603
    except subprocess.TimeoutExpired:
        raise ConversionError(_damage("it cannot be read to its end")) from None
    if status < 0:  # a signal, and no exception
        raise ConversionError(_damage("HDF5 cannot read it"))


def _most(path: Path) -> int:
    """The most bytes that a file of weights can hold."""
    return _SLACK + _MAX_RATIO * path.stat().st_size


def _check_hdf5(path: Path, file: h5py.File) -> None:
    declared = count = 0

    def check(name: str, part: Any) -> None:
        nonlocal declared, count
        count += 1
        if count > _MAX_ENTRIES:
            raise ConversionError("an HDF5 file of too many parts to be a model")
        if isinstance(part, h5py.Dataset):
            if part.external or part.is_virtual:
                raise ConversionError(f"{name} is kept in another file; save the model with model.save(...)")
            declared += part.nbytes

    elsewhere = file.visititems_links(lambda name, link: None if isinstance(link, h5py.HardLink) else name)
    if elsewhere is not None:
        raise ConversionError(f"{elsewhere} is a link to what is elsewhere; save the model with model.save(...)")
    file.visititems(check)
    if declared > _most(path):
        raise ConversionError(f"declares {amount(declared)} of weights; no model of its size does")


def _damage(error: Exception | str) -> str:
    truncated = re.search(r"truncated file: eof = (\d+).*stored_eof = (\d+)", str(error))
    if truncated:
        held, whole = (amount(int(number)) for number in truncated.groups())
        return f"an HDF5 file that ends after {held} of {whole}; copy or download it again"
    return f"an HDF5 file, but damaged ({one_line(error)}); copy or download it again"
