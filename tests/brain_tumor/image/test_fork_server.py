"""The process that forks for each task, and what it outlives."""

import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import psutil
import pytest

from brain_tumor.image.fork_server import ForkServer, TookTooLong
from brain_tumor.processes import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs forks")
PROGRAM = """
import os, signal, sys, time
sys.path.insert(0, {root!r})
from brain_tumor.image.fork_loop import serve
seen = []
def task(arguments, source, target):
    seen.append(arguments)
    (what,) = arguments
    if what == "sleep":
        time.sleep(60)
    elif what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "kill the server":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    elif what == "fail":
        raise ValueError
    elif what == "descriptors":
        target.write(" ".join(os.listdir("/proc/self/fd")).encode())
    else:
        target.write(source.read() + b" %d" % len(seen))
serve(int(sys.argv[1]), task, {idle})
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    program = tmp_path_factory.mktemp("server") / "program.py"
    program.write_text(PROGRAM.format(root=str(ROOT), idle=60))
    server = ForkServer(program)
    yield server
    server.close()


def run(server: ForkServer, what: str, data: bytes = b"", seconds: float = 30, while_wanted=nullcontext):
    with tempfile.TemporaryFile(buffering=0) as source, tempfile.TemporaryFile(buffering=0) as target:
        source.write(data)
        source.seek(0)
        status = server.run([what], source, target, seconds, while_wanted)
        target.seek(0)
        return status, target.read()


def wait_for(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def children(server: ForkServer) -> list[psutil.Process]:
    return psutil.Process(server._process.pid).children()


def test_a_task_sees_nothing_of_those_before(server):
    for data in (b"one", b"two"):
        assert run(server, "echo", data) == (0, data + b" 1")


def test_many_tasks_at_a_time(server):
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda number: run(server, "echo", b"%d" % number), range(60)))
    assert results == [(0, b"%d 1" % number) for number in range(60)]
    wait_for(lambda: not children(server))


def test_how_a_task_ended(server):
    assert run(server, "die")[0] == -signal.SIGKILL
    assert run(server, "fail")[0] == 1
    assert run(server, "echo", b"still there") == (0, b"still there 1")


def test_a_task_has_no_descriptors_but_its_own(server):
    with ThreadPoolExecutor(1) as threads:
        sleeping = threads.submit(run, server, "sleep", seconds=1)
        wait_for(lambda: children(server))
        _, names = run(server, "descriptors")
        assert len(names.split()) == 3 + 2 + 1 + 1, names  # standard ones, two files, the selector, the folder itself
        with pytest.raises(TookTooLong):
            sleeping.result()


def test_a_task_that_takes_too_long_is_ended(server):
    with pytest.raises(TookTooLong):
        run(server, "sleep", seconds=0.2)
    wait_for(lambda: not children(server))


def test_a_task_that_nobody_wants_is_ended(server):
    ends = []

    @contextlib.contextmanager
    def while_wanted(end):
        ends.append(end)
        yield

    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(run, server, "sleep", while_wanted=while_wanted)
        wait_for(lambda: children(server))
        ends[0]()
        assert result.result(10)[0] != 0
    wait_for(lambda: not children(server))


def test_a_new_process_follows_one_that_was_killed(server):
    run(server, "echo")
    process = server._process
    process.kill()
    assert run(server, "echo", b"again") == (0, b"again 1")
    assert server._process.pid != process.pid


def test_a_task_that_kills_the_process_is_tried_twice_at_most(server):
    assert run(server, "kill the server")[0] != 0
    assert run(server, "echo", b"again") == (0, b"again 1")


def test_an_idle_process_ends_and_the_next_task_starts_one(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(root=str(ROOT), idle=0.05))
    server = ForkServer(program)
    try:
        for _ in range(2):
            assert run(server, "echo", b"a") == (0, b"a 1")
            wait_for(lambda: server._process.poll() is not None)
    finally:
        server.close()


CALLER = """
import os, pathlib, sys, tempfile
from contextlib import nullcontext
from brain_tumor.image.fork_server import ForkServer
server = ForkServer(pathlib.Path({program!r}))
def run():
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        status = server.run(["echo"], source, target, 30, nullcontext)
        return status, server._process.pid
_, pid = run()
print(pid, flush=True)
"""


def call(program, code: str) -> list[str]:
    """Run a caller in a process of its own; the lines that it prints, of which the first is its server's number."""
    text = CALLER.format(program=str(program)) + code
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split()


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_fork_of_the_caller_has_a_process_of_its_own(server):
    code = """
if (fork := os.fork()) == 0:
    assert server._process is None
    print(*run(), flush=True)
    server.close()
    os._exit(0)
os.waitpid(fork, 0)
print(*run())
"""
    first, *in_fork, status, again = call(server._program, code)
    assert in_fork[0] == status == "0"
    assert in_fork[1] != first == again


@pytest.mark.parametrize("code", ["", "os.kill(os.getpid(), 9)"])
def test_the_process_ends_with_its_caller(server, code):
    (pid,) = call(server._program, code)
    wait_for(lambda: is_gone(int(pid)))


def test_a_socket_pair_without_messages_ends_the_loop(server):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, str(server._program), str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )
    assert process.wait(20) == 0
