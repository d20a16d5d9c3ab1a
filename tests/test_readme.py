"""What the README and docs/ say is what the code does."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from gateway.settings import VARIABLES, Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_table_of_settings_is_complete_and_its_defaults_are_the_code_s() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`)? ?\|", README, re.MULTILINE))
    assert rows.keys() == set(VARIABLES.values())
    assert Settings.from_env(rows) == Settings()
    defaults = asdict(Settings())
    for field, variable in VARIABLES.items():
        assert bool(rows[variable]) == bool(defaults[field]), variable


@pytest.mark.parametrize("document", ["README.md", "docs/kubernetes.md", "docs/eks.md", "docs/training.md"])
def test_every_make_target_that_is_named_exists(document: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", (ROOT / document).read_text(), re.MULTILINE))
    assert named
    assert named <= set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))


@pytest.mark.parametrize(
    "document", ["README.md", "docs/kubernetes.md", "docs/eks.md", "docs/model-server.md", "docs/training.md"]
)
def test_every_file_that_is_linked_or_applied_exists(document: str) -> None:
    text = (ROOT / document).read_text()
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert ((ROOT / document).parent / link).exists(), link
    for path in re.findall(r"(?:kube-config|kind-config)[/.][\w./-]*\w", text):
        assert (ROOT / path).exists(), path


def test_the_figures_of_the_shipped_model_are_its_card_s() -> None:
    metrics = json.loads((ROOT / "model-server" / "models" / "brain-tumor.json").read_text())["metrics"]
    test = metrics["test"]
    text = " ".join(README.split())
    least = min(metrics["ood_samples_flagged"].values())
    for figure in (
        f"right on {100 * test['accuracy']:.1f} % of {test['images']:,} phantom images",
        f"misses {test['tumours_missed']} of {test['tumours']} tumours",
        f"flags {100 * least:.0f} % of images that are no scans",
    ):
        assert figure in text
