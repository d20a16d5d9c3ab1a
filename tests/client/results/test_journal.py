"""The journal: what survives a kill, and which journals are not continued."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from brain_tumor_client.results.journal import Journal, JournalError, Line
from tests.client.results.rows import FAILED, GOOD

PNG = replace(GOOD, path="a.png", volume=None, plane=None, slice=None)


def write(path: Path, *lines: Line) -> None:
    with Journal(path, {"--plane": ["axial"]}) as journal:
        for line in lines:
            journal.append(line)


def read(path: Path) -> Journal:
    return Journal(path, {"--plane": ["axial"]})


def slices(*indices: int, count: int) -> list[Line]:
    return [Line(replace(GOOD, slice=index), None, index, count) for index in indices]


def test_what_was_classified_is_known_again(tmp_path: Path) -> None:
    write(tmp_path / "j", Line(PNG, {"a": 1}, 0, 1))
    with read(tmp_path / "j") as journal:
        assert "a.png" in journal
        assert "b.png" not in journal
        assert journal.is_complete("a.png")
        assert list(journal.lines({})) == [Line(PNG, {"a": 1}, 0, 1)]
        assert list(journal.classes) == ["glioma", "no tumour"]
        assert list(journal.models) == [("brain-tumor", 2)]


def test_a_volume_is_complete_with_its_last_slice(tmp_path: Path) -> None:
    write(tmp_path / "j", *slices(0, 2, count=3))
    with read(tmp_path / "j") as journal:
        assert not journal.is_complete(GOOD.path)
        assert replace(GOOD, slice=2).key in journal
        assert replace(GOOD, slice=1).key not in journal
        journal.append(*slices(1, count=3))
    with read(tmp_path / "j") as journal:
        assert journal.is_complete(GOOD.path)
        assert [line.row.slice for line in journal.lines({})] == [0, 1, 2]


def test_a_failure_is_tried_again_and_counts_once(tmp_path: Path) -> None:
    write(tmp_path / "j", Line(replace(FAILED, path="a.png"), None, 0, 1))
    with read(tmp_path / "j") as journal:
        assert "a.png" not in journal
        journal.append(Line(PNG, None, 0, 1))
        assert [line.row for line in journal.lines({})] == [PNG]


@pytest.mark.parametrize("torn", [1, 20, 100])
def test_a_torn_line_is_cut_off(tmp_path: Path, torn: int) -> None:
    write(tmp_path / "j", Line(PNG, None), Line(replace(PNG, path="b.png"), None))
    path = tmp_path / "j"
    os.truncate(path, path.stat().st_size - torn)
    with read(path) as journal:
        assert "a.png" in journal
        assert "b.png" not in journal
        journal.append(Line(replace(PNG, path="c.png"), None))
    with read(path) as journal:
        assert [line.row.path for line in journal.lines({})] == ["a.png", "c.png"]


def test_a_torn_first_line_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b'{"jour')
    with read(tmp_path / "j") as journal:
        assert journal.images == 0


@pytest.mark.parametrize("damage", [b"{}\n", b"words\n", b"[]\n", b'{"journal": 2, "options": {}}\n'])
def test_a_journal_that_is_none_is_not_continued(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "j").write_bytes(damage)
    with pytest.raises(JournalError, match="--restart"):
        read(tmp_path / "j")
    assert (tmp_path / "j").read_bytes() == damage


def test_damage_in_the_middle_is_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "j", Line(PNG, None), Line(replace(PNG, path="b.png"), None))
    content = (tmp_path / "j").read_bytes().replace(b'"path":"a.png"', b'"path":"a.png')
    (tmp_path / "j").write_bytes(content)
    with pytest.raises(JournalError, match="line 2"):
        read(tmp_path / "j")


def test_other_options_are_named(tmp_path: Path) -> None:
    write(tmp_path / "j", Line(PNG, None))
    with pytest.raises(JournalError, match=r"\(--plane\)"):
        Journal(tmp_path / "j", {"--plane": ["coronal"]})
    with Journal(tmp_path / "j", {"--plane": ["coronal"]}, anew=True) as journal:
        assert journal.images == 0


def test_only_one_process_writes(tmp_path: Path) -> None:
    with read(tmp_path / "j"):
        code = (
            "import sys, pathlib; from brain_tumor_client.results.journal import *\n"
            "try: Journal(pathlib.Path(sys.argv[1]), {}, anew=True)\n"
            "except JournalError as error: print(error)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "j")],
            env={**os.environ, "PYTHONPATH": str(Path(sys.modules["brain_tumor_client"].__file__).parent.parent)},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert "Another command writes these results" in done.stdout, done.stderr
    with read(tmp_path / "j") as journal:
        assert journal.images == 0
