"""What the README and docs/ say is what the code does."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from gateway.settings import VARIABLES, Settings

ROOT = Path(__file__).parent.parent
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


def test_the_table_of_settings_is_complete_and_its_defaults_are_the_code_s() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    table = text.partition("<!-- settings: begin -->\n")[2].partition("<!-- settings: end -->\n")[0]
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`)? ?\|", table, re.MULTILINE))
    assert rows.keys() == {variable for variable, _ in VARIABLES.values()}
    assert Settings.from_env(rows) == Settings()
    defaults = asdict(Settings())
    for field, (variable, _) in VARIABLES.items():
        assert bool(rows[variable]) == bool(defaults[field]), variable


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_that_is_named_exists(document: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", (ROOT / document).read_text(), re.MULTILINE))
    assert named <= set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))


def test_the_readme_names_the_commands_of_a_new_user() -> None:
    commands = set(re.findall(r"^make ([a-z0-9-]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert commands == {"run", "test", "experiment", "kind-up", "deploy"}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_manifest_that_is_named_exists(document: str) -> None:
    for path in re.findall(r"(?:kube-config|kind-config)[/.][\w./-]*\w", (ROOT / document).read_text()):
        assert (ROOT / path).exists(), path


def test_the_metrics_of_the_shipped_model_are_those_of_its_metadata() -> None:
    metrics = json.loads((ROOT / "model-server" / "models" / "brain-tumor.json").read_text())["metrics"]
    test = metrics["test"]
    text = " ".join((ROOT / "docs" / "training.md").read_text().split())
    least = min(metrics["strangers_flagged"].values())
    for statement in (
        f"right on {100 * test['accuracy']:.1f} % of {test['images']:,} phantom images",
        f"misses {test['tumours_missed']} of {test['tumours']} tumours",
        f"flags {100 * least:.0f} % of images that are no scans",
    ):
        assert statement in text
