"""The documents as documents: lines of a readable length, and links, paths and JSON examples that are right."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MADE_BY_CODE = ("docs/example-experiment/", "docs/shipped-model/", "training/templates/")
TRACKED = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
DOCUMENTS = [path for path in TRACKED.splitlines() if not path.startswith(MADE_BY_CODE) or path.endswith("README.md")]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
MAX_LINE = 120  # characters

all_documents = pytest.mark.parametrize("document", DOCUMENTS)


def test_there_are_documents() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/api.md"} <= set(DOCUMENTS)


@all_documents
def test_prose_has_lines_that_fit_a_screen(document: str) -> None:
    prose = FENCE.sub("", (ROOT / document).read_text())
    lines = [line for line in prose.splitlines() if not line.lstrip().startswith("|") and "://" not in line]
    assert [line for line in lines if len(line) > MAX_LINE] == []


@all_documents
def test_every_link_leads_to_a_file_and_a_heading(document: str) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", (ROOT / document).read_text()):
        path, _, anchor = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@all_documents
def test_every_json_example_is_valid(document: str) -> None:
    for _, language, code in FENCE.findall((ROOT / document).read_text()):
        if language == "json":
            json.loads(code)


def test_every_alert_leads_to_a_heading() -> None:
    rules = "".join(path.read_text() for path in (ROOT / "kube-config" / "components" / "alerts").glob("*.yaml"))
    runbooks = re.findall(r"runbook_url: (\S+)", rules)
    assert len(runbooks) == rules.count("- alert: ") > 0
    for path, anchor in (runbook.split("#") for runbook in runbooks):
        assert anchor in anchors(ROOT / path), anchor


@pytest.mark.parametrize("document", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_path_in_backticks_exists(document: str) -> None:
    paths = re.findall(r"`([\w.-]+/[\w./-]*)`", FENCE.sub("", (ROOT / document).read_text()))
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def anchors(document: Path) -> set[str]:
    """What a forge calls the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
