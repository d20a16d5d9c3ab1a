"""A server's processes: their start, CPU, memory and end, and clients that ask it. The server is a small real one."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.peers.catalogue import Tier
from benchmarks.peers.environments import Unavailable
from benchmarks.peers.load import NoResponse, drive
from benchmarks.peers.running import Request, Server, running
from brain_tumor.processes import free_port

# Responds to any POST; the path says how: /burn takes 20 ms of CPU in a child process, as a worker does. The child
# has a session of its own, and there is a process whose parent has ended.
SERVER = """
import http.server, multiprocessing, os, sys, time

def work(pipe):
    os.setsid()
    block = bytearray(64 << 20)
    block[::4096] = b"1" * len(block[::4096])
    while True:
        pipe.recv()
        began = time.process_time()
        while time.process_time() - began < 0.02:
            pass
        pipe.send(None)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/burn":
            pipe.send(None)
            pipe.recv()
        self.send_response(500 if self.path == "/fail" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *arguments):
        pass

if not (child := os.fork()):
    if not os.fork():
        time.sleep(60)
    os._exit(0)
os.waitpid(child, 0)
pipe, other = multiprocessing.Pipe()
multiprocessing.get_context("fork").Process(target=work, args=(other,), daemon=True).start()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@contextlib.contextmanager
def started(folder: Path, path: str = "/burn", program: str = SERVER) -> Iterator[tuple[Server, float, Request]]:
    port = free_port()
    request = Request(path, "text/plain", [b"first", b"second"])
    tier = Tier([sys.executable, "-c", program, str(port)], dict(os.environ), folder)
    with running([tier], port, request, folder / "log") as (server, seconds):
        yield server, seconds, request


def test_cpu_and_memory_are_those_of_all_processes(tmp_path):
    with started(tmp_path) as (server, seconds, request):
        assert 0 < seconds < 60
        assert len(server.processes()) == 3
        assert server.memory() > 64 << 20  # the child's
        window = drive(server, request, clients=1, seconds=0.6, warm_up=1)
        assert 0.015 < window.cpu < 0.06
        assert 0 < window.own_cpu < window.cpu
        assert len(window.latencies) == pytest.approx(0.6 * window.rate, abs=1 + 0.2 * 0.6 * window.rate)
        assert min(window.latencies) >= 0.02


def test_at_the_end_no_process_is_left(tmp_path):
    with started(tmp_path) as (server, _, _):
        processes = server.processes()
    assert [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []


def test_several_clients_wait_for_each_other(tmp_path):
    with started(tmp_path) as (server, _, request):
        window = drive(server, request, clients=1, seconds=0.3, warm_up=1)
    assert window.rate <= 1 / 0.02


def test_a_program_that_ends_is_named_with_its_log(tmp_path):
    with (
        pytest.raises(Unavailable, match=rf"ended instead of starting; its output is in {tmp_path}/log"),
        started(tmp_path, program="print('no such model', flush=True)"),
    ):
        pass
    assert (tmp_path / "log").read_text() == "no such model\n"


def test_a_request_that_fails_under_load_is_no_measurement(tmp_path):
    with started(tmp_path) as (server, _, request):
        failing = Request("/fail", request.media_type, request.bodies)
        began = time.monotonic()
        with pytest.raises(NoResponse, match="with 1 clients: HTTPException: status 500"):
            drive(server, failing, clients=1, seconds=50, warm_up=1)
        assert time.monotonic() - began < 40


def test_no_response_within_the_window_asks_for_a_longer_one(tmp_path):
    with started(tmp_path) as (server, _, request), pytest.raises(NoResponse, match="give more --seconds"):
        drive(server, request, clients=1, seconds=1e-4, warm_up=1)
