"""Which version folders a model has, and which of them its policy serves."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LOGGER = logging.getLogger(__name__)
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


def policy_from_proto(proto: Any) -> VersionPolicy:
    """The policy of a ServableVersionPolicy message; the latest version if it says nothing."""
    match proto.WhichOneof("policy_choice"):
        case "all":
            return All()
        case "specific":
            return Specific(frozenset(proto.specific.versions))
        case _:
            return Latest(max(proto.latest.num_versions, 1))


def scan(base_path: Path) -> dict[int, Path]:
    """A base path's version folders by number; ``1``, ``0001`` and ``-1`` are numbers, ``1a`` and ``v1`` are not.

    Raises:
        OSError: the base path cannot be listed; it may be gone for a moment only.
    """
    found: dict[int, Path] = {}
    for folder in sorted(base_path.iterdir()):
        number = int(folder.name) if re.fullmatch(r"[+-]?[0-9]{1,19}", folder.name) else None
        if number is None or number not in INT64 or not folder.is_dir():
            continue
        if number in found:
            _LOGGER.warning("%s and %s are both version %d: the first is ignored", found[number], folder, number)
        found[number] = folder
    return found


def choose(policy: VersionPolicy, found: Mapping[int, Path]) -> dict[int, Path]:
    """Those of the versions found that a policy serves."""
    match policy:
        case Latest(count):
            chosen = sorted(found)[-count:]
        case Specific(versions):
            chosen = sorted(versions & found.keys())
        case All():
            chosen = sorted(found)
    return {number: found[number] for number in chosen}
