"""What the README and docs/ say is what the code does."""

import json
import re
from pathlib import Path

import pytest

from gateway.http.errors import TABLE

ROOT = Path(__file__).parent.parent
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_that_is_named_exists(document: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", (ROOT / document).read_text(), re.MULTILINE))
    assert named <= set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))


def test_the_readme_names_the_commands_of_a_new_user() -> None:
    commands = set(re.findall(r"^make ([a-z0-9-]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert commands == {"run", "test", "experiment", "kind-up", "deploy"}


def test_the_statuses_of_errors_are_the_gateway_s() -> None:
    section = (ROOT / "docs" / "api.md").read_text().partition("## Errors")[2].partition("## Limits")[0]
    cells = re.findall(r"^\| ([\d, ]+) \|", section, re.MULTILINE)
    statuses = {int(status) for cell in cells for status in cell.split(", ")}
    of_the_framework, of_the_edge = {404, 405, 500}, {401, 403, 408, 429, 431}
    assert statuses == {int(status) for _, status, _ in TABLE} | of_the_framework | of_the_edge


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_manifest_that_is_named_exists(document: str) -> None:
    for path in re.findall(r"(?:kube-config|kind-config)[/.][\w./-]*\w", (ROOT / document).read_text()):
        assert (ROOT / path).exists(), path


def test_the_metrics_of_the_shipped_model_are_those_of_its_metadata() -> None:
    metrics = json.loads((ROOT / "model-server" / "models" / "brain-tumor.json").read_text())["metrics"]
    test = metrics["test"]
    text = " ".join((ROOT / "docs" / "training.md").read_text().split())
    least = min(metrics["ood_samples_flagged"].values())
    for statement in (
        f"right on {100 * test['accuracy']:.1f} % of {test['images']:,} phantom images",
        f"misses {test['tumours_missed']} of {test['tumours']} tumours",
        f"flags {100 * least:.0f} % of images that are no scans",
    ):
        assert statement in text
