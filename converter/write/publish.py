"""A new version folder that appears whole or not at all, also when two converters want the same one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brain_tumor.atomic import atomic_folder
from converter.errors import ConversionError

_FOLDER_MODE, _FILE_MODE = 0o755, 0o644


@contextmanager
def new_version(target: Path) -> Iterator[Path]:
    """A folder to write a version into; it becomes ``target`` when the block ends well.

    Until then it is a hidden sibling. Model servers ignore it, because its name is not a number. On an error, an
    interrupt included, it is removed; see ``atomic_folder``. Whatever the umask is, other users can read the version
    and the folders that were made for it, because a model server runs as another user.

    Args:
        target: The version's folder, models/name/version.

    Raises:
        ConversionError: The version exists, another process published it meanwhile, or it cannot be written.
    """
    check_free(target)
    parents = [parent for parent in target.absolute().parents if not parent.exists()]
    try:
        with atomic_folder(target) as folder:
            yield folder
            for path in (*parents, folder, *folder.rglob("*")):
                path.chmod(_FOLDER_MODE if path.is_dir() else _FILE_MODE)
    except OSError as error:
        check_free(target)  # another process was first
        raise ConversionError(f"cannot write {target}: {error.strerror or error}") from error


def check_free(target: Path) -> None:
    """Refuse a version folder that exists.

    Raises:
        ConversionError: It exists.
    """
    if os.path.lexists(target):
        raise ConversionError(f"{target} exists; a published version never changes, choose another --version")
