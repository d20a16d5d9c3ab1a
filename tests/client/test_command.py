"""``brain-tumor classify`` as a process: results, exit codes, and what is left when it ends early."""

import json
import os
import signal
import socket
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pyarrow import parquet

from tests.brain_tumor import images
from tests.client.command import Command
from tests.client.scripted_service import PNG, ScriptedService, cut, prediction, refuse, respond
from tests.client.sources.dicom_files import PATIENT, write_dicom
from tests.processes import free_port, wait_until

QUICK = ("--attempts", "2", "--patience", "1")


def test_a_folder_becomes_a_table(command: Command, service: ScriptedService) -> None:
    names = command.images("scans/a", 20) + command.images("scans/b", 20)
    done = command.run("classify", "scans", "--out", "results.csv")
    assert done.returncode == 0, done.stderr
    rows = command.rows()
    assert [row["path"] for row in rows] == names
    assert [row["class"] for row in rows] == [
        prediction((command.folder / name).read_bytes())["class"] for name in names
    ]
    assert rows[0]["model_name"] == "brain-tumor"
    assert float(rows[0]["probability_glioma"]) + float(rows[0]["probability_notumor"]) > 0.1
    assert command.files() == ["results.csv"]
    assert len(service.predictions) == 40
    assert service.most_at_a_time <= 8
    assert "40 classified, 0 failed" in done.stderr
    assert done.stderr.count("For research only.") == 1
    assert done.stdout == ""


def test_concurrency_is_bounded(command: Command, service: ScriptedService) -> None:
    command.images("scans", 40)
    three = threading.Event()

    def wait_for_three(handler, request) -> bool:
        if service.under_way >= 3:
            three.set()
        return request.path == "/predict" and not three.wait(20) and refuse(handler, 500)

    service.behaviour = wait_for_three
    assert command.run("classify", "scans", "--out", "r.csv", "--concurrency", "3").returncode == 0
    assert service.most_at_a_time == 3


def test_without_a_file_lines_are_printed(command: Command, service: ScriptedService) -> None:
    names = command.images("scans", 3)
    (command.folder / "scans" / "\x1b[31m.png").write_bytes(PNG)
    done = command.run("classify", *names, "scans")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == [*names, "scans/\\x1b[31m.png"], "and each image once"
    assert lines[0].split("\t")[1:] == [prediction((command.folder / names[0]).read_bytes())["class"], "0.7000"]
    assert command.files() == []


def test_some_failed(command: Command, service: ScriptedService) -> None:
    names = command.images("scans", 5)
    broken = (command.folder / names[2]).read_bytes()
    service.behaviour = lambda handler, request: request.body == broken and refuse(handler, 415, "It is no image.")
    (command.folder / names[3]).unlink()
    (command.folder / names[3]).symlink_to("nowhere")
    done = command.run("classify", "scans", "--out", "results.jsonl")
    assert done.returncode == 1
    rows = [json.loads(line) for line in (command.folder / "results.jsonl").read_text().splitlines()]
    assert [row["path"] for row in rows] == names
    assert [row["error_status"] for row in rows] == [None, None, 415, None, None]
    assert [row["class"] is None for row in rows] == [False, False, True, True, False]
    assert rows[2]["error_detail"] == "It is no image."
    assert rows[2]["request_id"] == "abc"
    assert rows[3]["error_detail"]
    assert rows[0]["response"]["notice"] == "For research only."
    assert f"{names[2]}: It is no image." in done.stderr


def test_resume_sends_only_what_failed_and_what_is_new(command: Command, service: ScriptedService) -> None:
    names = command.images("scans", 6)
    broken = (command.folder / names[2]).read_bytes()
    service.behaviour = lambda handler, request: request.body == broken and refuse(handler, 500)
    assert command.run("classify", "scans", "--out", "results.csv").returncode == 1
    service.behaviour = lambda handler, request: False
    names = command.images("scans", 8)
    service.requests.clear()
    refused = command.run("classify", "scans", "--out", "results.csv")
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    assert service.requests == []
    done = command.run("classify", "scans", "--out", "results.csv", "--resume")
    assert done.returncode == 0, done.stderr
    assert {request.body for request in service.predictions} == {
        (command.folder / names[number]).read_bytes() for number in (2, 6, 7)
    }
    assert len(service.predictions) == 3
    rows = command.rows()
    assert [row["path"] for row in rows] == names
    assert all(row["class"] and not row["error_detail"] for row in rows)
    service.requests.clear()
    assert command.run("classify", "scans", "--out", "results.csv", "--resume").returncode == 0
    assert service.predictions == []
    assert command.rows() == rows
    assert command.run("classify", "scans", "--out", "results.csv", "--restart").returncode == 0
    assert len(service.predictions) == 8


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_run_that_was_killed_goes_on_and_has_each_image_once(
    command: Command, service: ScriptedService, format_: str
) -> None:
    names = command.images("scans", 300)
    out = f"results.{format_}"
    first = command.start("classify", "scans", "--out", out)
    journal = command.folder / f"{out}.journal"
    wait_until(lambda: journal.exists() and journal.read_bytes().count(b"\n") > 60, "some results", timeout=30)
    first.kill()
    first.communicate(timeout=30)
    assert command.files() == [journal.name]
    before = len(service.predictions)
    assert before < 300
    done = command.run("classify", "scans", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "from before" in done.stderr
    path = command.folder / out
    rows = parquet.read_table(path).to_pylist() if format_ == "parquet" else command.rows()
    assert [row["path"] for row in rows] == names
    assert all(row["class"] for row in rows)
    sent = Counter(request.body for request in service.predictions)
    # The one that was being sent when the process was killed may have arrived in part.
    assert {(command.folder / name).read_bytes() for name in names} <= set(sent)
    assert sum(sent.values()) - 300 <= 4 * 8, "only those that were under way are sent twice"
    assert command.files() == [out]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_keeps_what_is_done(
    command: Command, service: ScriptedService, number: signal.Signals, code: int
) -> None:
    names = command.images("scans", 40)
    held = (command.folder / names[20]).read_bytes()
    release = threading.Event()
    service.behaviour = lambda handler, request: request.body == held and release.wait(20) and False
    process = command.start("classify", "scans", "--out", "results.csv")
    journal = command.folder / "results.csv.journal"
    wait_until(lambda: journal.exists() and journal.read_bytes().count(b"\n") == 21, "20 results", timeout=30)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert "20 results are kept in results.csv.journal: run the same command again to go on." in err
    assert "Traceback" not in err
    assert command.files() == ["results.csv.journal"]
    release.set()
    assert command.run("classify", "scans", "--out", "results.csv").returncode == 0
    assert [row["path"] for row in command.rows()] == names


def test_other_options_do_not_go_on(command: Command, service: ScriptedService) -> None:
    names = command.images("scans", 3)
    last = (command.folder / names[2]).read_bytes()
    service.behaviour = lambda handler, request: request.body == last and refuse(handler, 401, "Give a key.")
    assert command.run("classify", "scans", "--out", "r.csv").returncode == 4
    done = command.run("classify", "scans", "--out", "r.csv", "--plane", "coronal")
    assert done.returncode == 2
    assert "(--plane)" in done.stderr
    service.behaviour = lambda handler, request: False
    assert command.run("classify", "scans", "--out", "r.csv", "--plane", "coronal", "--restart").returncode == 0


def test_nobody_there(command: Command) -> None:
    command.images("scans", 3)
    done = command.run("classify", "scans", "--out", "r.csv", "--url", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 3
    assert "not reachable" in done.stderr
    assert command.files() == []


def test_a_service_that_goes_away_stops_the_run(command: Command, service: ScriptedService) -> None:
    names = command.images("scans", 30)
    with socket.socket() as closing:
        closing.bind(("127.0.0.1", 0))
        closing.listen(128)
        port = closing.getsockname()[1]
        ten = {(command.folder / name).read_bytes() for name in names[:10]}
        # One connection of the client leads to the service, and then the port is closed.
        relay = threading.Thread(target=_relay_until, args=(closing, service, ten))
        relay.start()
        arguments = ("classify", "scans", "--out", "r.csv", "--concurrency", "1", *QUICK)
        done = command.run(*arguments, "--url", f"http://127.0.0.1:{port}")
        relay.join(20)
    assert done.returncode == 3, done.stderr
    assert "run the same command again" in done.stderr
    assert command.run(*arguments).returncode == 0
    assert [row["path"] for row in command.rows("r.csv")] == names


def _relay_until(listening: socket.socket, service: ScriptedService, bodies: set[bytes]) -> None:
    """Pass connections on until the service has had these bodies; then stop listening, and cut what is open."""
    open_ones: list[socket.socket] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    listening.settimeout(0.02)
    while not bodies <= {request.body for request in service.predictions}:
        try:
            client, _ = listening.accept()
        except TimeoutError:
            continue
        client.settimeout(20)
        server = socket.create_connection(("127.0.0.1", service.port), timeout=20)
        open_ones += [client, server]
        for pair in ((client, server), (server, client)):
            threading.Thread(target=pump, args=pair, daemon=True).start()
    listening.close()
    for connection in open_ones:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


def test_a_service_that_stays_busy_stops_the_run(command: Command, service: ScriptedService) -> None:
    command.images("scans", 40)
    service.behaviour = lambda handler, request: request.path == "/predict" and refuse(handler, 503)
    done = command.run("classify", "scans", "--out", "r.csv", "--attempts", "1")
    assert done.returncode == 3
    assert len(service.predictions) < 40
    service.behaviour = lambda handler, request: False
    assert command.run("classify", "scans", "--out", "r.csv").returncode == 0
    assert all(row["class"] for row in command.rows("r.csv"))


def test_one_image_that_the_service_cannot_bear_does_not_stop_the_run(
    command: Command, service: ScriptedService
) -> None:
    names = command.images("scans", 10)
    poison = (command.folder / names[4]).read_bytes()
    service.behaviour = lambda handler, request: request.body == poison and cut(handler)
    done = command.run("classify", "scans", "--out", "r.csv", *QUICK)
    assert done.returncode == 1, done.stderr
    assert [bool(row["class"]) for row in command.rows("r.csv")] == [number != 4 for number in range(10)]


def test_another_service_at_the_url(command: Command, service: ScriptedService) -> None:
    command.images("scans", 3)
    service.behaviour = lambda handler, request: respond(handler, 200, b"<html>")
    done = command.run("classify", "scans", "--out", "r.csv")
    assert done.returncode == 3
    assert "Check the URL" in done.stderr


def test_the_key_comes_from_the_environment_and_is_never_shown(command: Command, service: ScriptedService) -> None:
    command.images("scans", 1)
    service.behaviour = lambda handler, request: (
        request.headers.get("Authorization") != "Bearer s3cret" and refuse(handler, 401, "Give a key.")
    )
    without = command.run("classify", "scans", "--out", "r.csv")
    assert (without.returncode, command.files()) == (4, [])
    assert "BRAIN_TUMOR_API_KEY" in without.stderr
    done = command.run("classify", "scans", "--out", "r.csv", BRAIN_TUMOR_API_KEY="s3cret")
    assert done.returncode == 0
    assert "s3cret" not in done.stderr + done.stdout + (command.folder / "r.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "PATH"),
        (("missing",), "There is no file"),
        (("scans", "--out", "results.txt"), ".csv"),
        (("scans", "--concurrency", "0"), "whole number"),
        (("scans", "--timeout", "nan"), "a number from"),
        (("scans", "--shard", "3/3"), "I/N"),
        (("scans", "--url", "nonsense"), "Write it like"),
        (("scans", "--api-key", "two words"), "Check the key"),
        (("empty",), "There are no images"),
    ],
)
def test_usage(command: Command, service: ScriptedService, arguments: tuple[str, ...], words: str) -> None:
    command.images("scans", 1)
    (command.folder / "empty").mkdir()
    done = command.run("classify", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert service.predictions == []


def test_results_that_cannot_be_written(command: Command) -> None:
    command.images("scans", 1)
    (command.folder / "a file").write_text("")
    done = command.run("classify", "scans", "--out", "a file/results.csv")
    assert done.returncode == 5
    assert "cannot be written" in done.stderr


def test_overlays_stand_beside_a_mirrored_tree(command: Command, service: ScriptedService) -> None:
    names = command.images("scans/a", 2)
    assert command.run("classify", "scans", "--out", "r.csv", "--overlays", "maps").returncode == 0
    for name in names:
        assert (command.folder / "maps" / f"{name}.png").read_bytes() == PNG
    assert all(request.query == {"explain": "true"} for request in service.predictions)


def test_a_volume_has_rows_and_a_summary(command: Command, service: ScriptedService) -> None:
    values = np.random.default_rng(1).random((20, 20, 12)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), command.folder / "head.nii.gz")
    (command.folder / "broken.nii").write_bytes(b"words")
    done = command.run(
        "classify", "head.nii.gz", "broken.nii", "--out", "r.csv", "--plane", "all", "--overlays", "maps"
    )
    assert done.returncode == 1, done.stderr
    of_head = [row for row in command.rows("r.csv") if row["volume"] == "head.nii.gz"]
    assert [(row["plane"], row["slice"]) for row in of_head] == [
        *(("axial", str(index)) for index in range(12)),
        *((plane, str(index)) for plane in ("coronal", "sagittal") for index in range(20)),
    ]
    summaries = {row["volume"]: row for row in command.rows("r.volumes.csv")}
    assert (summaries["head.nii.gz"]["images"], summaries["head.nii.gz"]["failed"]) == ("52", "0")
    assert (summaries["broken.nii"]["images"], summaries["broken.nii"]["failed"]) == ("0", "1")
    counts = Counter(row["class"] for row in of_head)
    assert all(summaries["head.nii.gz"][f"images_{name}"] == str(count) for name, count in counts.items())
    assert (command.folder / "maps" / "head.nii.gz" / "coronal-007.png").exists()


def test_a_volume_that_was_begun_goes_on_in_the_middle(command: Command, service: ScriptedService) -> None:
    for name in "ab":
        values = np.random.default_rng(ord(name)).random((20, 20, 30)).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), command.folder / f"{name}.nii")
    service.behaviour = lambda handler, request: (
        request.path == "/predict" and request.number == 45 and refuse(handler, 403)
    )
    arguments = ("classify", "a.nii", "b.nii", "--out", "r.jsonl", "--concurrency", "1")
    assert command.run(*arguments).returncode == 4
    service.behaviour = lambda handler, request: False
    (command.folder / "a.nii").write_bytes(b"a complete volume is not opened again")
    service.requests.clear()
    assert command.run(*arguments).returncode == 0
    assert len(service.predictions) == 60 - 44
    summaries = [json.loads(line) for line in (command.folder / "r.volumes.jsonl").read_text().splitlines()]
    assert [(summary["volume"], summary["images"]) for summary in summaries] == [("a.nii", 30), ("b.nii", 30)]


def test_a_series_is_sent_by_position_and_names_nobody(command: Command, service: ScriptedService) -> None:
    paths = [
        write_dicom(command.folder / "mr" / name, "1.2.3.4", (0, 0, -step), number=step)
        for step, name in enumerate(("c", "a", "b"))
    ]
    done = command.run("classify", "mr", "--out", "r.jsonl", "--concurrency", "1")
    assert done.returncode == 0, done.stderr
    assert [request.body for request in service.predictions] == [path.read_bytes() for path in reversed(paths)]
    assert {request.headers["Content-Type"] for request in service.predictions} == {"application/dicom"}
    (summary,) = [json.loads(line) for line in (command.folder / "r.volumes.jsonl").read_text().splitlines()]
    assert (summary["volume"], summary["images"]) == ("mr (series 1)", 3)
    written = "".join((command.folder / name).read_text() for name in command.files()) + done.stderr
    assert PATIENT not in written
    assert "1.2.3.4" not in written


def test_every_frame_of_a_file(command: Command, service: ScriptedService) -> None:
    write_dicom(command.folder / "many.dcm", "1.2.3.4", frames=4)
    done = command.run("classify", "many.dcm", "--out", "r.csv", "--every-frame")
    assert done.returncode == 0, done.stderr
    assert sorted(request.query["frame"] for request in service.predictions) == ["1", "2", "3", "4"]
    assert [row["frame"] for row in command.rows("r.csv")] == ["1", "2", "3", "4"]
    assert [row["images"] for row in command.rows("r.volumes.csv")] == ["4"]


def test_every_page_of_a_tiff(command: Command, service: ScriptedService) -> None:
    (command.folder / "stack.tif").write_bytes(images.stack(10, 90, 200))
    (command.folder / "damaged.tif").write_bytes(b"II*\0\x08\0\0\0\x01")
    done = command.run("classify", "stack.tif", "damaged.tif", "--out", "r.csv", "--every-frame")
    assert done.returncode == 0, done.stderr
    assert sorted(request.query.get("frame", "") for request in service.predictions) == ["", "1", "2", "3"]
    assert [row["images"] for row in command.rows("r.volumes.csv")] == ["3"]


def test_shards_together_have_each_image_once(command: Command) -> None:
    names = command.images("scans", 30)
    for index in range(2):
        assert command.run("classify", "scans", "--out", f"{index}.csv", "--shard", f"{index}/2").returncode == 0
    assert sorted(row["path"] for index in range(2) for row in command.rows(f"{index}.csv")) == names


def test_who_stops_reading_ends_the_command(command: Command) -> None:
    command.images("scans", 200)
    process = command.start("classify", "scans", PYTHONUNBUFFERED="1")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 5
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


def test_progress_on_a_terminal(command: Command, service: ScriptedService) -> None:
    command.images("scans", 30)
    main, terminal = os.openpty()
    shown = bytearray()

    def read() -> None:
        try:
            while part := os.read(main, 65536):
                shown.extend(part)
        except OSError:
            pass

    reader = threading.Thread(target=read)
    reader.start()
    try:
        child = command.start_on(terminal, "classify", "scans", "--out", "r.csv")
        assert child.wait(30) == 0
    finally:
        os.close(terminal)
        reader.join(10)
        os.close(main)
    assert b"30 classified, 0 failed" in shown


def test_the_model(command: Command) -> None:
    done = command.run("model")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "name": "brain-tumor",
        "version": 1,
        "notice": "Research.",
        "service_version": "0.1.0",
    }
    assert command.run("model", "--url", f"http://127.0.0.1:{free_port()}").returncode == 3


def test_the_folder_of_results_is_made(command: Command, tmp_path: Path) -> None:
    command.images("scans", 1)
    assert command.run("classify", "scans", "--out", "new/folder/r.csv").returncode == 0
    assert (tmp_path / "new" / "folder" / "r.csv").exists()
