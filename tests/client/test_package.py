"""The package as a package, and docs/client.md as its document."""

import ast
import re
import sys
import tomllib

import pytest

import brain_tumor_client
from brain_tumor_client.command import exit_code
from brain_tumor_client.command.arguments import parse
from brain_tumor_client.results import columns
from tests.processes import ROOT

FOLDER = ROOT / "client"
PROJECT = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
MODULES = sorted((FOLDER / "brain_tumor_client").rglob("*.py"))
DOCUMENT = (ROOT / "docs" / "client.md").read_text()


def rows_of(heading: str) -> list[str]:
    """The first cells of the first table below a heading."""
    section = DOCUMENT.partition(f"{heading}\n")[2]
    table = re.search(r"^\|.*?\n\n", section, re.MULTILINE | re.DOTALL)
    assert table
    return re.findall(r"^\| (.*?) \|", table[0], re.MULTILINE)[2:]


def test_the_version_is_the_project_s() -> None:
    assert PROJECT["version"] == brain_tumor_client.VERSION


def test_it_is_typed_and_its_names_exist() -> None:
    assert (FOLDER / "brain_tumor_client" / "py.typed").exists()
    assert all(hasattr(brain_tumor_client, name) for name in brain_tumor_client.__all__)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_it_imports_only_what_it_asks_for(module) -> None:
    asked = {re.match(r"[\w-]+", need)[0] for need in PROJECT["dependencies"]}
    extras = PROJECT["optional-dependencies"].values()
    asked |= {re.match(r"[\w-]+", need)[0] for needs in extras for need in needs}
    allowed = {name.replace("pillow", "PIL") for name in asked} | sys.stdlib_module_names | {"brain_tumor_client"}
    imported = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add((node.module or "").partition(".")[0])
    assert imported <= allowed


def test_the_document_has_all_exit_codes() -> None:
    named = {int(code) for cell in rows_of("### When it ends early") for code in cell.split(", ")}
    assert named == {int(code) for code in exit_code.ExitCode}


def test_the_document_has_all_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["classify", "--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert {option for cell in rows_of("## The command") for option in re.findall(r"--[a-z-]+", cell)} == options


def test_the_document_has_all_columns() -> None:
    for heading, names in (
        ("### Results", columns.row_columns(["..."])),
        ("Volumes and series have", columns.summary_columns(["..."])),
    ):
        section = DOCUMENT.partition(heading)[2]
        cells = re.findall(r"^\| (`.*?`) \|", section.split("\n\n| column")[1].split("\n\n")[0], re.MULTILINE)
        assert {name for cell in cells for name in re.findall(r"`(.*?)`", cell)} == set(names)


def test_the_document_has_all_errors() -> None:
    errors = {
        name
        for name in brain_tumor_client.__all__
        if isinstance(getattr(brain_tumor_client, name), type)
        and issubclass(getattr(brain_tumor_client, name), brain_tumor_client.ClientError)
    }
    named = {name for cell in rows_of("## The Python API") for name in re.findall(r"`(\w+)`", cell)}
    assert named == errors - {"ClientError"}
