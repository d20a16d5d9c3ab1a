"""The table, as text, Markdown and JSON."""

import dataclasses
import json
import re

import pytest

from benchmarks.peers import report
from benchmarks.peers.agreement import Agreement
from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.report import Result
from benchmarks.peers.summary import COLUMNS, Sample

BY_NAME = {peer.name: peer for peer in PEERS}
SLOW = Sample(start=4.0, median=0.2, p95=0.25, rate=5.0, cpu_alone=0.3, cpu_loaded=0.32, memory=1.5e9, own_cpu=0.0002)
FAST = Sample(start=2.0, median=0.1, p95=0.12, rate=8.0, cpu_alone=0.2, cpu_loaded=0.16, memory=5e8, own_cpu=0.0003)


@pytest.fixture
def result() -> Result:
    return Result(
        machine="a processor, 2 cores",
        network="xception at 299x299",
        clients=8,
        seconds=5.0,
        peers=[BY_NAME["classic"], BY_NAME["openvino"]],
        rounds=[{"classic": SLOW, "openvino": FAST}],
        agreements={"classic": Agreement(0.0, 4, 4), "openvino": Agreement(3e-5, 4, 4)},
        skipped={"mlserver": "its packages cannot be installed"},
    )


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_has_each_figure_and_how_much_better_it_is(result):
    heading, rule, classic, openvino = map(cells, report.markdown(result).splitlines()[:4])
    assert heading[3:] == [
        "requests/s of 8",
        "CPU ms a request, 1 client",
        "CPU ms, 8 clients",
        "resident, MB",
        "start, s",
    ]
    assert rule == ["---"] * len(heading)
    assert classic == [
        "classic: Flask, TensorFlow",
        *("200.0 (1.00)", "250.0 (1.00)", "5.0 (1.00)", "300.0 (1.00)", "320.0 (1.00)", "1,500 (1.00)", "4.0 (1.00)"),
    ]
    assert openvino == [
        "this project, OpenVINO",
        *("100.0 (2.00)", "120.0 (2.08)", "8.0 (1.60)", "200.0 (1.50)", "160.0 (2.00)", "500 (3.00)", "2.0 (2.00)"),
    ]


def test_who_disagrees_gets_figures_but_no_ratios(result):
    wrong = dataclasses.replace(result, agreements={**result.agreements, "openvino": Agreement(0.02, 4, 4)})
    (row,) = (line for line in report.text(wrong).splitlines() if line.startswith("this project, OpenVINO "))
    assert "100.0" in row
    assert "(" not in row
    assert set(report.document(wrong)["servers"]["openvino"]["ratios"].values()) == {None}
    assert "difference in probability 2.0e-02, the same class for 4 of 4 images: it computes something" in report.text(
        wrong
    )


def test_who_failed_in_every_round_has_no_figures(result):
    without = dataclasses.replace(result, rounds=[{"classic": SLOW}])
    assert cells(report.markdown(without).splitlines()[3])[1:] == ["-"] * len(COLUMNS)
    assert "this project, OpenVINO failed in 1 of 1 rounds" in report.text(without)
    assert "failed" not in report.text(result)


def test_the_columns_of_the_text_are_aligned(result):
    lines = report.text(result).splitlines()
    assert len({len(line) for line in lines[:3]}) == 1
    assert lines[3] == ""


def test_what_a_reader_must_know_stands_below(result):
    for text in (report.text(result), report.markdown(result)):
        assert "xception at 299x299; a processor, 2 cores; 1 rounds, 5 s for each measurement." in text
        assert "0.30 ms of CPU a request at most" in text
        assert "stands for TensorFlow Serving" in text
        assert re.search(r"classic: Flask, TensorFlow \(flask [\d.]+, .*tensorflow [\d.]+, [^()]*\): gunicorn", text)
        assert "largest difference in probability 3.0e-05" in text
        assert "Not measured: mlserver: its packages cannot be installed." in text


def test_the_document_is_json_with_every_sample(result):
    document = json.loads(json.dumps(report.document(result)))
    ours = document["servers"]["openvino"]
    assert (ours["figures"]["memory_mb"], ours["ratios"]["memory_mb"]) == (500, 3)
    assert ours["samples"] == [dataclasses.asdict(FAST)]
    assert ours["agrees"]
    assert document["skipped"] == result.skipped
