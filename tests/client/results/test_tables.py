"""Tables in three formats: what is in them, that the way back loses nothing, and that spreadsheets run nothing."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow import parquet

from brain_tumor_client.results.journal import Journal, Line
from brain_tumor_client.results.tables import TableError, read_lines, volumes_path, write_tables
from tests.client.results.rows import FAILED, GOOD, LOST, ROWS

RESPONSE = {"class": "glioma", "notice": "For research only."}
all_formats = pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    with Journal(tmp_path / "journal", {}) as journal:
        for row in ROWS:
            journal.append(Line(row, RESPONSE if row is GOOD else None, count=1))
        yield journal


RANKS = {row.path: number for number, row in enumerate(ROWS)}


@all_formats
def test_what_is_written_is_read_back(tmp_path: Path, journal: Journal, suffix: str) -> None:
    path = tmp_path / f"results{suffix}"
    write_tables(path, journal, RANKS)
    assert [line.row for line in read_lines(path)] == ROWS


@all_formats
def test_nothing_else_is_left_behind(tmp_path: Path, journal: Journal, suffix: str) -> None:
    write_tables(tmp_path / f"results{suffix}", journal, RANKS)
    assert {path.name for path in tmp_path.iterdir()} == {"journal", f"results{suffix}", f"results.volumes{suffix}"}


def test_the_order_is_that_of_the_files(tmp_path: Path, journal: Journal) -> None:
    path = tmp_path / "results.csv"
    write_tables(path, journal, {row.path: -number for number, row in enumerate(ROWS)})
    assert [line.row for line in read_lines(path)] == ROWS[::-1]


def test_files_that_this_run_has_not_seen_come_first(tmp_path: Path, journal: Journal) -> None:
    path = tmp_path / "results.csv"
    write_tables(path, journal, {GOOD.path: 0})
    assert [line.row for line in read_lines(path)] == [*ROWS[1:], GOOD]


def test_no_cell_of_a_csv_file_is_a_formula(tmp_path: Path, journal: Journal) -> None:
    write_tables(tmp_path / "results.csv", journal, RANKS)
    with (tmp_path / "results.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    cells = {name: [row[number] for row in rows] for number, name in enumerate(header)}
    numbers = {"ood_score", *(name for name in header if name.startswith("probability_"))}
    for name in header:
        assert not name.startswith(("=", "+", "-", "@"))
        if name not in numbers:
            assert [cell for cell in cells[name] if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []
    assert cells["ood_score"][0] == "-9.5", "a number stays a number"
    assert cells["path"][2] == "'=HYPERLINK(1).png"
    assert cells["ood_flag"] == ["true", "", "", ""]


def test_parquet_has_types(tmp_path: Path, journal: Journal) -> None:
    write_tables(tmp_path / "results.parquet", journal, RANKS)
    schema = parquet.read_schema(tmp_path / "results.parquet")
    types = {name: str(schema.field(name).type) for name in schema.names}
    assert types["path"] == "string"
    assert types["slice"] == "int64"
    assert types["ood_flag"] == "bool"
    assert types["probability_glioma"] == "double"
    table = parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert [row["class"] for row in table] == ["glioma", "=cmd", None, None]


def test_jsonl_holds_the_whole_response(tmp_path: Path, journal: Journal) -> None:
    write_tables(tmp_path / "results.jsonl", journal, RANKS)
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert lines[0]["response"] == RESPONSE
    assert lines[0]["probabilities"] == {"glioma": 0.75, "no tumour": 0.25}
    assert lines[2]["error_status"] == 415


def test_the_summary_of_a_volume(tmp_path: Path) -> None:
    name = "b.nii"
    other = {"class_name": "no tumour", "probabilities": {"glioma": 0.1, "no tumour": 0.9}, "ood_flag": False}
    rows = [
        replace(GOOD, path=name, volume=name, slice=0),
        replace(GOOD, path=name, volume=name, slice=1, **other),
        replace(GOOD, path=name, volume=name, slice=2, class_name="glioma", ood_flag=None),
        replace(LOST, path=name, volume=name, plane="axial", slice=3),
        FAILED,
        GOOD,
    ]
    with Journal(tmp_path / "journal", {}) as journal:
        for ordinal, row in enumerate(rows):
            journal.append(Line(row, None, ordinal, 4))
        write_tables(tmp_path / "results.jsonl", journal, {name: 0, FAILED.path: 1, GOOD.path: 2})
        write_tables(tmp_path / "results.csv", journal, {name: 0, FAILED.path: 1, GOOD.path: 2})
    first, second = map(json.loads, volumes_path(tmp_path / "results.jsonl").read_text().splitlines())
    assert first == {
        "volume": name,
        "images": 3,
        "failed": 1,
        "counts": {"glioma": 2, "no tumour": 1},
        "mean_probabilities": {"glioma": round(1.6 / 3, 6), "no tumour": round(1.4 / 3, 6)},
        "most_certain_path": name,
        "most_certain_plane": "axial",
        "most_certain_slice": 1,
        "most_certain_frame": None,
        "most_certain_class": "no tumour",
        "most_certain_probability": 0.9,
        "share_out_of_distribution": round(1 / 3, 6),
    }
    assert second["volume"] == GOOD.path
    with volumes_path(tmp_path / "results.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["images_glioma"], row["mean_probability_glioma"]) == ("2", "0.533333")


def test_without_volumes_there_is_no_table_of_them(tmp_path: Path) -> None:
    volumes_path(tmp_path / "results.csv").write_text("of an earlier run")
    with Journal(tmp_path / "journal", {}) as journal:
        journal.append(Line(FAILED, None))
        write_tables(tmp_path / "results.csv", journal, {})
    assert not volumes_path(tmp_path / "results.csv").exists()


@all_formats
@pytest.mark.parametrize("content", [b"", b"other words\n1\n", b'{"a": 1}\n', b"\xff\xfe"])
def test_what_is_no_table_of_ours(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"results{suffix}"
    path.write_bytes(content)
    if not content and suffix == ".jsonl":
        assert list(read_lines(path)) == []
        return
    with pytest.raises(TableError, match="--restart"):
        list(read_lines(path))
