"""What a Job needs: results that two processes may want to write, failures that pass, and parts that become one."""

import threading
from pathlib import Path

import nibabel
import numpy as np
import pytest

from brain_tumor_client.results.journal import Journal
from tests.client.command import Command
from tests.client.scripted_service import ScriptedService, refuse
from tests.processes import wait_until

ONCE = ("--attempts", "1", "--patience", "0")


def parts(command: Command, count: int = 3, suffix: str = ".csv") -> list[str]:
    """Classify ``scans`` in so many shards, and return their tables."""
    names = [f"out/part-{index}-of-{count}{suffix}" for index in range(count)]
    for index, name in enumerate(names):
        assert command.run("classify", "scans", "--out", name, "--shard", f"{index}/{count}").returncode == 0
    return names


def test_results_that_another_process_writes(command: Command, service: ScriptedService) -> None:
    command.images("scans", 3)
    with Journal(command.folder / "r.csv.journal", {}):
        for wait in ("0", "0.1"):
            done = command.run("classify", "scans", "--out", "r.csv", "--wait", wait)
            assert done.returncode == 6
            assert "Another command writes these results" in done.stderr
    assert service.predictions == []


def test_a_successor_waits_and_goes_on_where_the_other_was(command: Command, service: ScriptedService) -> None:
    """As the pod that replaces one which was deleted by force, but has not ended yet."""
    names = command.images("scans", 20)
    held, release = (command.folder / names[10]).read_bytes(), threading.Event()
    service.behaviour = lambda handler, request: request.body == held and release.wait(20) and False
    arguments = ("classify", "scans", "--out", "r.csv", "--resume", "--wait", "60", "--concurrency", "1")
    first = command.start(*arguments)
    journal = command.folder / "r.csv.journal"
    wait_until(lambda: journal.exists() and journal.read_bytes().count(b"\n") == 11, "10 results", timeout=30)
    second = command.start(*arguments)
    assert second.stderr is not None
    assert "waiting for it" in second.stderr.readline()
    first.kill()
    first.communicate(timeout=20)
    release.set()
    _, err = second.communicate(timeout=30)
    assert second.returncode == 0, err
    assert "10 from before" in err
    assert [row["path"] for row in command.rows("r.csv")] == names
    assert len(service.predictions) <= 21


def test_a_run_that_was_complete_is_not_done_again(command: Command, service: ScriptedService) -> None:
    """As the pod that replaces one which died before the Job knew that it had succeeded."""
    command.images("scans", 5)
    arguments = ("classify", "scans", "--out", "r.csv", "--resume")
    assert command.run(*arguments).returncode == 0
    before = (command.folder / "r.csv").read_bytes()
    service.requests.clear()
    # It may have died when it had taken the lock, too.
    (command.folder / "r.csv.journal").touch()
    assert command.run(*arguments).returncode == 0
    assert service.predictions == []
    assert (command.folder / "r.csv").read_bytes() == before
    assert command.files() == ["r.csv"]


def test_files_that_are_refused_are_allowed_and_failures_that_pass_are_not(
    command: Command, service: ScriptedService
) -> None:
    names = command.images("scans", 6)
    refused, lost = (command.folder / names[2]).read_bytes(), (command.folder / names[4]).read_bytes()
    (command.folder / names[5]).write_bytes(b"")
    busy = [lost]
    service.behaviour = lambda handler, request: (
        (request.body == refused and refuse(handler, 415)) or (request.body in busy and refuse(handler, 503))
    )
    arguments = ("classify", "scans", "--out", "r.csv", "--resume", "--allow-refused", *ONCE)
    assert command.run(*arguments).returncode == 1
    assert [row["error_status"] for row in command.rows("r.csv")] == ["", "", "415", "", "503", ""]
    busy.clear()
    service.requests.clear()
    assert command.run(*arguments).returncode == 0
    assert sorted(request.body for request in service.predictions) == sorted([refused, lost])
    assert [row["error_status"] for row in command.rows("r.csv")] == ["", "", "415", "", "", ""]
    assert command.run("classify", "scans", "--out", "r.csv", "--resume", *ONCE).returncode == 1


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_parts_become_one_table(command: Command, suffix: str) -> None:
    names = command.images("scans", 20)
    values = np.random.default_rng(1).random((20, 20, 9)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), command.folder / "scans" / "head.nii")
    parts(command, suffix=suffix)
    done = command.run("merge", "out", "--out", "all.csv")
    assert done.returncode == 0, done.stderr
    assert "29 images, of which 0 failed" in done.stderr
    rows = command.rows("all.csv")
    assert sorted(row["path"] for row in rows) == sorted([*names, *["scans/head.nii"] * 9])
    assert [row["slice"] for row in rows if row["slice"]] == [str(index) for index in range(9)]
    (volume,) = command.rows("all.volumes.csv")
    assert (volume["volume"], volume["images"]) == ("scans/head.nii", "9")
    assert command.files() == ["all.csv", "all.volumes.csv"]


def test_tables_of_other_names_become_one_too(command: Command) -> None:
    for name in ("a", "b"):
        command.images(name, 2)
        assert command.run("classify", name, "--out", f"{name}.csv").returncode == 0
    assert command.run("merge", "b.csv", "a.csv", "--out", "all.csv").returncode == 0
    assert [row["path"][0] for row in command.rows("all.csv")] == ["b", "b", "a", "a"]
    done = command.run("merge", "b.csv", "a.csv", "all.csv", "--out", "more.csv")
    assert done.returncode == 2
    assert "is in two of these tables" in done.stderr
    assert command.files() == ["a.csv", "all.csv", "b.csv"]


def test_parts_that_are_not_one_run(command: Command, tmp_path: Path) -> None:
    command.images("scans", 4)
    (first, second, third), (other, _) = parts(command), parts(command, 2)
    (command.folder / "table.csv").write_text("words")
    for tables, words in (
        ([first, third], "Of 3 parts 1 are missing: 1."),
        ([first, second, third, other], "several runs"),
        ([first, second, third, "table.csv"], "several runs"),
        (["table.csv"], "cannot be read"),
        (["missing.csv"], "cannot be read"),
        (["scans"], "There are no tables"),
    ):
        done = command.run("merge", *tables, "--out", "all.csv")
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr
        assert command.files() == ["table.csv"]


def test_merged_results_are_replaced_on_demand_alone(command: Command) -> None:
    command.images("scans", 4)
    tables = parts(command)
    assert command.run("merge", *tables, "--out", "all.csv").returncode == 0
    before = (command.folder / "all.csv").read_bytes()
    assert command.run("merge", *tables, "--out", "all.csv").returncode == 2
    assert command.run("merge", *tables, "--out", "all.csv", "--restart").returncode == 0
    assert (command.folder / "all.csv").read_bytes() == before
    assert command.run("merge", *tables, "--out", tables[0], "--restart").returncode == 2
