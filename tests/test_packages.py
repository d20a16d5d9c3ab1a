"""The lock file: one version of a package in every category, no index named, no TensorFlow where it must not be."""

import json
import tomllib

import pytest

from brain_tumor.processes import ROOT

LOCK = json.loads((ROOT / "Pipfile.lock").read_text())
CATEGORIES = {name: packages for name, packages in LOCK.items() if name != "_meta"}


def test_a_package_has_one_version_in_every_category() -> None:
    versions: dict[str, set[str]] = {}
    for packages in CATEGORIES.values():
        for name, package in packages.items():
            versions.setdefault(name, set()).add(package["version"])
    assert {name: several for name, several in versions.items() if len(several) > 1} == {}


def test_no_package_index_is_named() -> None:
    assert "source" not in tomllib.loads((ROOT / "Pipfile").read_text())
    assert LOCK["_meta"]["sources"] == []
    assert [name for packages in CATEGORIES.values() for name, package in packages.items() if "index" in package] == []


def test_every_package_has_hashes() -> None:
    assert [
        name for packages in CATEGORIES.values() for name, package in packages.items() if not package["hashes"]
    ] == []


def test_every_category_is_locked() -> None:
    pipfile = tomllib.loads((ROOT / "Pipfile").read_text())
    assert {name.replace("dev-packages", "develop") for name in pipfile} == CATEGORIES.keys() - {"default"}


@pytest.mark.parametrize("category", ["gateway", "model-server", "test", "test-manifests"])
def test_serving_and_its_tests_install_no_tensorflow(category: str) -> None:
    assert CATEGORIES[category]
    assert {"tensorflow", "keras", "tensorflow-serving-api"} & CATEGORIES[category].keys() == set()
