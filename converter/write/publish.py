"""A new version folder that appears whole or not at all, also when two converters want the same one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brain_tumor.atomic import atomic_folder
from converter.errors import ConversionError


@contextmanager
def new_version(target: Path) -> Iterator[Path]:
    """A folder to write a version into; it becomes ``target`` when the block ends well.

    Until then it is a hidden sibling. Model servers ignore it, because its name is not a number. On an error, an
    interrupt included, it is removed; see ``atomic_folder``.

    Args:
        target: The version's folder, models/name/version.

    Raises:
        ConversionError: The version exists, another process published it meanwhile, or it cannot be written.
    """
    check_free(target)
    try:
        with atomic_folder(target) as folder:
            yield folder
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
