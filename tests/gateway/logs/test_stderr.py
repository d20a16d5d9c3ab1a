import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from gateway.logs.stderr import LINE_BYTES, PERIOD, StderrPipe
from tests.processes import ROOT

NAME = "DOE^JANE"
GRPC = "W0000 00:00:1732666549.123456   12345 tcp_posix.cc:1410] peer ipv4:10.1.2.3:8500 " + NAME
# A worker as gunicorn's master has it: forked, with records as JSON, and its stderr in a pipe.
WORKER = """
import asyncio, logging, os, sys
from logging.config import dictConfig
from gateway.logs.lines import configuration
from gateway.logs.stderr import StderrPipe

dictConfig(configuration("debug", "json"))
pipe = StderrPipe()
child = os.fork()
if child == 0:
    async def main():
        pipe.capture(asyncio.get_running_loop())
        {body}
    asyncio.run(main())
    sys.exit(0)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
pipe.finish()
logging.getLogger("gateway").info("the worker ended with %d", status)
"""


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("gateway.logs.stderr.time.monotonic", clock)
    return clock


@pytest.fixture
def write(clock) -> Iterator[Callable[[str], None]]:
    """A function that writes to a pipe as a library does, and reads what it holds."""
    pipe = StderrPipe()

    def write(text: str) -> None:
        os.write(pipe._write_end, text.encode())
        pipe.read()

    yield write
    pipe.finish()


def run_worker(body: str) -> list[dict[str, str]]:
    """What a worker that does this writes to the real stderr, and its master afterwards: JSON objects."""
    command = [sys.executable, "-c", WORKER.format(body=body)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert NAME not in done.stderr
    return [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]


def messages(caplog) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


@pytest.mark.parametrize(
    ("line", "level", "message"),
    [
        (f"ZIPDecode: {NAME}: Decoding error at scanline 0.", "WARNING", "a library wrote to stderr (text withheld)"),
        (GRPC, "WARNING", "gRPC at tcp_posix.cc:1410 (text withheld)"),
        (GRPC.replace("W", "I", 1), "DEBUG", "gRPC at tcp_posix.cc:1410 (text withheld)"),
        (GRPC.replace("W", "E", 1), "WARNING", "gRPC at tcp_posix.cc:1410 (text withheld)"),
        (GRPC.replace("W", "F", 1), "CRITICAL", "gRPC at tcp_posix.cc:1410 (text withheld)"),
        ("free(): invalid pointer", "CRITICAL", "free(): invalid pointer"),
        ("malloc(): unaligned tcache chunk detected", "CRITICAL", "malloc(): unaligned tcache chunk detected"),
        ("double free or corruption (!prev)", "CRITICAL", "double free or corruption (!prev)"),
        ("corrupted size vs. prev_size in fastbins", "CRITICAL", "corrupted size vs. prev_size in fastbins"),
        (
            "*** stack smashing detected ***: terminated",
            "CRITICAL",
            "*** stack smashing detected ***: terminated",
        ),
        (
            "terminate called after throwing an instance of 'std::bad_alloc'",
            "CRITICAL",
            "terminate called after throwing an instance of 'std::bad_alloc'",
        ),
        ("free(): double free detected in tcache 2", "CRITICAL", "free(): double free detected in tcache 2"),
        (f"free(): {NAME}", "WARNING", "a library wrote to stderr (text withheld)"),
        (f"free(): invalid pointer\t{NAME}", "WARNING", "a library wrote to stderr (text withheld)"),
    ],
)
def test_a_line_becomes_a_record(write, caplog, line, level, message):
    caplog.set_level(logging.DEBUG, "stderr")
    write(line + "\n")
    assert messages(caplog) == [(level, message)]


def test_lines_may_arrive_in_pieces_and_be_empty(write, caplog):
    write("\n \nZIP")
    assert not caplog.records
    write("Decode: error\n")
    assert len(caplog.records) == 1


def test_a_line_without_end_does_not_grow_for_ever(write, caplog):
    for _ in range(3):
        write("x" * LINE_BYTES)
    assert len(caplog.records) == 1


def test_a_kind_is_reported_once_in_a_while(write, clock, caplog):
    for _ in range(3):
        write(f"ZIPDecode: {NAME}\n{GRPC}\n")
    assert len(caplog.records) == 2
    clock.now += PERIOD
    write("another\n")
    assert messages(caplog)[2:] == [("WARNING", "a library wrote to stderr (text withheld), and 2 times before")]


def test_kinds_are_bounded(write, caplog):
    for number in range(1000):
        write(GRPC.replace("1410", str(number)) + "\n")
    assert len(caplog.records) < 100


def test_a_worker_s_c_libraries_cannot_write_bare_lines():
    body = f"""
        for number in range(3):
            os.write(2, b"ZIPDecode: {NAME}\\n")
            print("{NAME}", file=sys.stderr)
            await asyncio.sleep(0)  # the loop finds that the pipe can be read
            await asyncio.sleep(0)
            logging.getLogger("gateway.test").info("record %d", number)
    """
    assert [document["message"] for document in run_worker(body)] == [
        "a library wrote to stderr (text withheld)",
        "record 0",
        "record 1",
        "record 2",
        "the worker ended with 0",
    ]


def test_a_library_that_writes_while_the_loop_is_busy_does_not_wait():
    # In one callback of the loop more than any pipe holds: whatever does not fit is dropped.
    body = """
        import ctypes
        for _ in range(10_000):
            ctypes.CDLL(None).write(2, b"x" * 999 + b"\\n", 1000)
    """
    assert {document["message"] for document in run_worker(body)} >= {"the worker ended with 0"}


def test_what_a_crash_says_reaches_the_operator():
    body = f"""
        os.write(2, b"{NAME}\\nfree(): invalid pointer\\n")
        os.abort()
    """
    command = [sys.executable, "-c", WORKER.format(body=body)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "Fatal Python error: Aborted" in done.stderr
    assert "in main" in done.stderr
    documents = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert ("critical", "free(): invalid pointer") in [(line["level"], line["message"]) for line in documents]
    assert documents[-1]["message"] == f"the worker ended with {-signal.SIGABRT}"
    assert NAME not in done.stderr


@pytest.mark.timeout(60)
def test_a_child_that_outlives_the_worker_does_not_keep_the_master_waiting() -> None:
    pipe = StderrPipe()
    other_end = os.dup(pipe._write_end)
    pipe.finish()
    os.close(other_end)
