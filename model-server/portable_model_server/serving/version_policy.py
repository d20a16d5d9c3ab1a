"""Which version folders a model has, which of them its policy serves, and why there may be none."""

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving_api.messages import FileSystemStoragePathSourceConfig

_LOGGER = logging.getLogger(__name__)
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")
_SAVED_MODEL = "saved_model.pb"
INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Latest:
    """The highest versions."""

    count: int = 1


@dataclass(frozen=True)
class All:
    """Every version."""


@dataclass(frozen=True)
class Specific:
    """These versions, if they exist."""

    versions: frozenset[int]


VersionPolicy = Latest | All | Specific


def policy_from_proto(proto: FileSystemStoragePathSourceConfig.ServableVersionPolicy) -> VersionPolicy:
    """Return the policy of a message; one that chooses nothing means the latest version."""
    match proto.WhichOneof("policy_choice"):
        case "all":
            return All()
        case "specific":
            return Specific(frozenset(proto.specific.versions))
        case _:
            return Latest(max(proto.latest.num_versions, 1))


def scan(base_path: Path) -> dict[int, Path]:
    """List a base path's version folders by number: ``1``, ``0001`` and ``-1`` are numbers, ``1a`` and ``v1`` are not.

    Raises:
        OSError: The base path cannot be listed; it may be gone for a moment only.
    """
    folders: dict[int, Path] = {}
    for folder in sorted(base_path.iterdir()):
        number = int(folder.name) if _NUMBER.fullmatch(folder.name) else None
        if number is None or number not in INT64 or not folder.is_dir():
            continue
        if number in folders:
            _LOGGER.warning("%s and %s are both version %d: the first is ignored", folders[number], folder, number)
        folders[number] = folder
    return folders


def select(policy: VersionPolicy, folders: Mapping[int, Path]) -> dict[int, Path]:
    """Return the version folders that a policy serves."""
    match policy:
        case Latest(count):
            numbers = sorted(folders)[-count:]
        case Specific(versions):
            numbers = sorted(versions & folders.keys())
        case All():
            numbers = sorted(folders)
    return {number: folders[number] for number in numbers}


def why_none(base_path: Path, folders: Mapping[int, Path]) -> str:
    """Say why a policy serves none of a base path's version folders, and what to do.

    Raises:
        OSError: The base path cannot be listed.
    """
    # os.path.isfile, since Path.is_file raises for a folder that may not be read, such as a volume's lost+found.
    if folders:
        return f"it holds the versions {', '.join(map(str, sorted(folders)))}, and the policy names others"
    if os.path.isfile(base_path / _SAVED_MODEL):  # noqa: PTH113
        if _NUMBER.fullmatch(base_path.name):
            return f"it is a version's folder itself; name the folder above it, {base_path.parent}"
        return f"it holds {_SAVED_MODEL} itself; move what it holds into a folder named by a number, {base_path / '1'}"
    for folder in sorted(base_path.iterdir()):
        if os.path.isfile(folder / _SAVED_MODEL) and not folder.name.startswith("."):  # noqa: PTH113
            return f"{folder.name} is no number; name that folder by its version, such as {base_path / '1'}"
    return f"it holds no folder named by a number, such as {base_path / '1'}"
