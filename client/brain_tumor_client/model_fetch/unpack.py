"""Tar archives, unpacked as data: plain files and folders below one folder, and nothing else.

The whole archive was checked against its SHA-256, but whoever made it may have been careless, or worse.
"""

import gzip
import io
import os
import tarfile
import zlib
from contextlib import closing
from pathlib import Path, PurePosixPath

from brain_tumor_client.errors import ModelUnusable

_MAX_MEMBERS = 10_000
_MAX_READ = 1024 * 1024  # bytes; tarfile reads files in pieces, but a header's extensions at once
_GZIP = b"\x1f\x8b"


def unpack(archive: Path, folder: Path, max_bytes: int) -> None:
    """Unpack an archive, with or without gzip, into an empty folder.

    Args:
        archive: The file.
        folder: It holds a part of the archive after an error.
        max_bytes: Of all files together, unpacked.

    Raises:
        ModelUnusable: It is no such archive, is damaged, too large, or would write elsewhere.
        OSError: It cannot be written.
    """
    with archive.open("rb") as head:
        packed = head.read(len(_GZIP)) == _GZIP
    remaining = max_bytes
    try:
        with (
            gzip.open(archive) if packed else archive.open("rb") as content,
            closing(tarfile.TarFile(fileobj=_Cautious(content))) as tar,
        ):
            for number, member in enumerate(tar):
                if number >= _MAX_MEMBERS:
                    raise ModelUnusable(f"The archive has more than {_MAX_MEMBERS:,} entries. Pack the version alone.")
                remaining -= member.size
                if remaining < 0:
                    raise ModelUnusable(f"The archive unpacks to more than {max_bytes:,} bytes. Raise --max-bytes.")
                _write(tar, member, folder)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, RecursionError, UnicodeError, ValueError):
        raise ModelUnusable(
            "The archive is damaged, or no tar archive. Make it with tar --create --gzip --file 7.tar.gz 7"
        ) from None


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise ModelUnusable("The archive holds paths that lead out of it. Pack the version folder by its own name.")
    target = folder / path
    try:
        (target if member.isdir() else target.parent).mkdir(parents=True, exist_ok=True)
        if not member.isdir():
            _write_file(tar, member, target)
    except (FileExistsError, NotADirectoryError):
        raise ModelUnusable("The archive holds a file twice. Pack the version folder anew.") from None


def _write_file(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    # A sparse file is larger than what the archive holds of it.
    if not member.isreg() or member.issparse() or not (content := tar.extractfile(member)):
        raise ModelUnusable("The archive holds links, devices or sparse files. Pack files and folders alone.")
    with content, target.open("xb") as file:
        while chunk := content.read(_MAX_READ):
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


class _Cautious(io.BufferedIOBase):
    """What tarfile reads from, which never gives it more than it needs for files: a header may claim any size."""

    def __init__(self, content: io.BufferedIOBase) -> None:
        self._content = content

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _MAX_READ:
            raise tarfile.ReadError("a header is too large")
        return self._content.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._content.seek(offset, whence)

    def tell(self) -> int:
        return self._content.tell()
