"""Files and folders that appear whole or not at all, whatever moment their writer is stopped at."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FOLDER_MODE = 0o755  # tempfile's folders are for their owner alone; a model server runs as another user


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A file to write beside ``path``, which replaces it when the block ends well and vanishes otherwise.

    Raises:
        OSError: it cannot be written there.
    """
    scratch = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield scratch
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which becomes ``path`` when the block ends well.

    Until then it is a hidden sibling. On an error, an interrupt included, it is removed, and so are the folders above
    it that were made for it. After SIGKILL it stays, hidden. What it holds is readable by others and on disk before it
    becomes visible.

    Args:
        path: there is nothing, or an empty folder.

    Raises:
        OSError: it cannot be written there, or something has appeared at ``path`` meanwhile.
    """
    path = path.absolute()
    made = [parent for parent in path.parents if not parent.exists()]
    scratch = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        yield scratch
        _settle(scratch)
        scratch.rename(path)
        made = []
    finally:
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)
        for parent in made:
            with contextlib.suppress(OSError):  # another process has put something there
                parent.rmdir()


def _settle(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(_FOLDER_MODE)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
