"""Files and folders that appear complete or not at all, even if their writer is stopped in the middle."""

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FOLDER_MODE = 0o755  # tempfile lets only the owner in, but a model server runs as another user


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Write a file: the block gets a path to write, and what it wrote replaces ``path`` when the block ends well.

    The file that the block writes is a hidden sibling of ``path``. On an error, or an interrupt, it is removed and
    ``path`` stays as it was. After SIGKILL it stays, hidden. Its content is not flushed to disk.

    Raises:
        OSError: The file cannot be written.
    """
    scratch = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield scratch
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document by an atomic write; its folder is made if it is missing.

    Raises:
        OSError: It cannot be written there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as scratch:
        scratch.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


@contextmanager
def atomic_folder(path: Path, *, replace_empty: bool = False) -> Iterator[Path]:
    """Make a folder: the block gets a folder to fill, which becomes ``path`` when the block ends well.

    The folder that the block fills is a hidden sibling of ``path``. On an error, or an interrupt, it is removed,
    together with the parent folders that were made for it. After SIGKILL it stays, hidden. Before it becomes visible,
    its content is on disk and its folders are readable by other users.

    Args:
        path: Nothing must exist there.
        replace_empty: Whether an empty folder may exist there.

    Raises:
        OSError: The folder cannot be written, or something exists at ``path`` at the end.
    """
    path = path.absolute()
    new_parents = [parent for parent in path.parents if not parent.exists()]
    scratch = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        yield scratch
        _make_readable_and_durable(scratch)
        if os.path.lexists(path) and not replace_empty:  # a rename would replace an empty folder
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        scratch.rename(path)
        new_parents = []
    finally:
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)
        for parent in new_parents:
            with contextlib.suppress(OSError):  # another process has written there
                parent.rmdir()


def _make_readable_and_durable(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(_FOLDER_MODE)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
