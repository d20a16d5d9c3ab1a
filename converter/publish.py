"""A new version folder that appears whole or not at all, also when two converters want the same one."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from converter.errors import ConversionError

_FOLDER_MODE = 0o755  # tempfile's folders are for their owner alone; a model server runs as another user


@contextlib.contextmanager
def new_version(target: Path) -> Iterator[Path]:
    """A folder to write a version into; it becomes ``target``, models/name/version, when the block ends well.

    Until then it is a hidden sibling, whose name is no number: model servers pass it over. On an error, an interrupt
    included, it is removed, and so are the folders above it that were made for it. After SIGKILL it stays, hidden.

    Raises:
        ConversionError: the version exists, or was published by another process meanwhile.
    """
    check_free(target)
    made = [parent for parent in target.parents if not parent.exists()]
    folder = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        yield folder
        _settle(folder)
        _rename(folder, target)
        made = []
    except OSError as error:
        raise ConversionError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        for parent in made:
            with contextlib.suppress(OSError):  # another process has put something there
                parent.rmdir()


def check_free(target: Path) -> None:
    """Refuse a version folder that exists.

    Raises:
        ConversionError: it does.
    """
    if os.path.lexists(target):
        raise ConversionError(f"{target} exists; a published version never changes, choose another --version")


def _settle(folder: Path) -> None:
    """Make everything in it readable by others, and durable before the rename makes it visible."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(_FOLDER_MODE)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _rename(folder: Path, target: Path) -> None:
    check_free(target)  # a rename would replace an empty folder
    try:
        folder.rename(target)
    except OSError:
        check_free(target)  # who came first has put files there, which a rename does not replace
        raise
