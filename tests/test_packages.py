"""The lock file: one version of each package, no package index, and no TensorFlow where it is not needed."""

import json
import re
import subprocess
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


def categories_installed_for(tests: str) -> set[str]:
    """The categories that make test installs on a fresh machine."""
    command = ["make", "--dry-run", "--always-make", "test", f"TESTS={tests}"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    return set(re.findall(r"sync .*--categories (\S+)", printed))


def test_the_gateway_s_tests_install_the_gateway_and_pytest() -> None:
    assert categories_installed_for("tests/gateway") == {"gateway", "test"}
    assert categories_installed_for("tests/gateway/test_settings.py::test_defaults tests/brain_tumor") == {
        "gateway",
        "test",
    }


def test_all_tests_and_unknown_paths_install_everything() -> None:
    everything = {name for name in CATEGORIES if name not in ("default", "develop")} | {"dev-packages"}
    assert categories_installed_for("tests") == categories_installed_for("tests/new") == everything


@pytest.mark.parametrize(
    "folder", sorted(path.name for path in (ROOT / "tests").iterdir() if list(path.glob("**/test_*.py")))
)
def test_the_makefile_knows_what_each_folder_of_tests_needs(folder: str) -> None:
    (needs,) = re.findall(rf"^TESTS_OF_{folder} := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(needs.split()) <= CATEGORIES.keys() | {"sources"}


def test_the_s3_server_of_the_end_to_end_tests_is_that_of_the_others() -> None:
    lines = (ROOT / "tests" / "e2e" / "image" / "requirements.txt").read_text().splitlines()[1:]
    pinned = dict(re.findall(r"^([\w-]+)(==\S+)$", "\n".join(lines), re.MULTILINE))
    assert "moto" in pinned
    assert len(pinned) == len(lines)
    assert pinned == {name: CATEGORIES["test"][name]["version"] for name in pinned}
