"""The processes under test: a model server of known capacity, and a gateway, or another server in its place."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.edge.namespace import NETWORK
from brain_tumor.processes import free_port, gateway_command, listens, responds, running, wait_until_up

START_TIMEOUT = 60.0  # seconds
_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "MODEL_"))}


@dataclass(frozen=True)
class Server:
    """A running server: its port, its process and the file of its output."""

    port: int
    process: psutil.Process
    log: Path

    def tree(self) -> list[psutil.Process]:
        """The process and its children."""
        return [self.process, *self.process.children(recursive=True)]

    def resident(self) -> float:
        """MiB of memory of all processes together."""
        total = 0
        for part in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += part.memory_info().rss
        return total / (1 << 20)

    def cpu(self) -> float:
        """Seconds of CPU that the processes have used."""
        return sum(sum(part.cpu_times()[:2]) for part in self.tree())

    def workers(self) -> list[int]:
        """The process ids of the children: another list means that one was started anew."""
        return sorted(part.pid for part in self.process.children())


@contextlib.contextmanager
def model_server(delay: float = 0.03, parallel: int = 1, slow: float = 6.0) -> Iterator[Server]:
    """A model server with a capacity of ``parallel / delay`` images a second."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.edge.model_server", f"--port={port}", f"--delay={delay}"]
    command += [f"--parallel={parallel}", f"--slow={slow}"]
    with running(command, _CLEAN) as process:
        wait_until_up(process, lambda: listens(port), START_TIMEOUT)
        yield Server(port, psutil.Process(process.pid), Path(os.devnull))


@contextlib.contextmanager
def gateway(model: Server, log: Path, command: Sequence[str] = (), **settings: str) -> Iterator[Server]:
    """A gateway that knows its model.

    Args:
        model: The model server.
        log: The file that its output is added to.
        command: Starts it, where it is not this checkout's own.
        settings: Environment variables.
    """
    port = free_port()
    environment = {"GATEWAY_BIND": f"127.0.0.1:{port}", "MODEL_SERVER_ADDRESS": f"127.0.0.1:{model.port}", **settings}
    environment = {**_CLEAN, "GATEWAY_URL_ALLOWED_NETWORKS": NETWORK, **environment}
    with log.open("ab") as output, running(command or gateway_command(), environment, output) as process:
        wait_until_up(process, lambda: responds(f"http://127.0.0.1:{port}/readyz"), START_TIMEOUT)
        yield Server(port, psutil.Process(process.pid), log)


def gateway_of(checkout: Path) -> list[str]:
    """The command of another checkout's gateway, which runs with this one's packages."""
    return ["env", f"--chdir={checkout.resolve()}", f"PYTHONPATH={checkout.resolve()}", *gateway_command()]
