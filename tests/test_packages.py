"""The lock file: one version of a package in every category, no index named, no TensorFlow where it must not be."""

import json
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCK = json.loads((ROOT / "Pipfile.lock").read_text())
CATEGORIES = {name: packages for name, packages in LOCK.items() if name != "_meta"}


def test_a_package_has_one_version_in_every_category() -> None:
    versions: dict[str, set[str]] = {}
    for packages in CATEGORIES.values():
        for name, package in packages.items():
            versions.setdefault(name, set()).add(package["version"])
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_no_package_index_is_named() -> None:
    assert "source" not in tomllib.loads((ROOT / "Pipfile").read_text())
    assert LOCK["_meta"]["sources"] == []
    assert [name for packages in CATEGORIES.values() for name, package in packages.items() if "index" in package] == []


def test_every_package_has_hashes() -> None:
    assert [
        name for packages in CATEGORIES.values() for name, package in packages.items() if not package["hashes"]
    ] == []


@pytest.mark.parametrize("category", ["gateway", "model-server"])
def test_serving_installs_no_tensorflow(category: str) -> None:
    assert CATEGORIES[category]
    assert {"tensorflow", "keras", "tensorflow-serving-api"} & CATEGORIES[category].keys() == set()
