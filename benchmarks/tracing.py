"""Print what traces cost a request, off and on, in both tiers: python -m benchmarks.tracing.

Each way has a gateway and a portable model server of its own, with the shipped model:

- off: no variable of OpenTelemetry is set;
- none sampled: traces are on, and the sampler takes none, so that only the context goes along;
- all sampled: every request's spans are sent to a collector, which is a process of its own and throws them away;
- before: both tiers of another checkout (``--before FOLDER``), such as one from before traces existed.

The ways are interleaved, some requests each, in another order each time. The CPU time is that of the tiers' processes,
and each ratio is the median of the ratios within a round.
"""

import argparse
import contextlib
import http.client
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import grpc
import psutil

from brain_tumor.processes import (
    ROOT,
    SHIPPED_MODEL,
    free_port,
    gateway_command,
    listens,
    model_server_command,
    responds,
    running,
    wait_until_up,
)

TIMEOUT = 120.0  # seconds, for a start or a response
WARM_UP = 50  # requests
EXPORT = "opentelemetry.proto.collector.trace.v1.TraceService"
OFF = "off"


@dataclass
class Way:
    """Both tiers, run in one way.

    Attributes:
        port: The gateway's.
        processes: The tiers'.
        cpu: CPU milliseconds of a request, round by round.
        seconds: How long a request took, round by round, the median of each.
    """

    port: int
    processes: list[psutil.Process]
    cpu: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def used(self) -> float:
        """CPU seconds of the tiers so far."""
        members = [member for parent in self.processes for member in (parent, *parent.children(recursive=True))]
        return sum(sum(member.cpu_times()[:2]) for member in members)

    def ask(self, image: bytes, requests: int) -> None:
        """Send requests one after the other, and note what they took."""
        times, before = [], self.used()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        for _ in range(requests):
            started = time.perf_counter()
            connection.request("POST", "/predict", image, {"Content-Type": "image/jpeg"})
            response = connection.getresponse()
            document = response.read()
            times.append(time.perf_counter() - started)
            if response.status != 200:
                raise SystemExit(f"status {response.status}: {document.decode()}")
        connection.close()
        self.cpu.append((self.used() - before) / requests * 1000)
        self.seconds.append(statistics.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=100, help="of each way in a round (default: %(default)s)")
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="another checkout to compare with")
    parser.add_argument("--collector", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.collector:
        collect(options.collector)
        return
    image = (ROOT / "examples" / "glioma.jpg").read_bytes()
    with contextlib.ExitStack() as stack:
        ways = start(stack, options.before)
        for way in ways.values():
            way.ask(image, WARM_UP)
            way.cpu.clear(), way.seconds.clear()
        for _ in range(options.rounds):
            for name in random.sample(sorted(ways), len(ways)):
                ways[name].ask(image, options.requests)
        print("| traces | CPU of a request, both tiers | beside off | time of a request | beside off |")
        print("| --- " * 5 + "|")
        for name, way in ways.items():
            cpu, seconds = (compared(getattr(way, what), getattr(ways[OFF], what)) for what in ("cpu", "seconds"))
            print(
                f"| {name} | {statistics.median(way.cpu):.2f} ms | {cpu} "
                f"| {statistics.median(way.seconds) * 1000:.2f} ms | {seconds} |"
            )


def start(stack: contextlib.ExitStack, before: Path | None) -> dict[str, Way]:
    """Start a collector and all ways."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.tracing", f"--collector={port}"]
    process = stack.enter_context(running(command, os.environ))
    wait_until_up(process, partial(listens, port), TIMEOUT)
    on = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
    ways = {
        OFF: stack.enter_context(tiers({})),
        "on, none sampled": stack.enter_context(tiers({**on, "OTEL_TRACES_SAMPLER": "always_off"})),
        "on, all sampled": stack.enter_context(tiers(on)),
    }
    if before:
        ways["before"] = stack.enter_context(tiers({}, before.resolve()))
    return ways


@contextlib.contextmanager
def tiers(variables: Mapping[str, str], folder: Path = ROOT) -> Iterator[Way]:
    """Both tiers of a checkout, with more variables."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environment = {**clean, **variables, "PYTHONPATH": f"{folder}:{folder / 'model-server'}"}
    grpc_port, port = free_port(), free_port()
    command = within(folder, model_server_command(SHIPPED_MODEL, port=grpc_port))
    with running(command, environment, subprocess.DEVNULL) as model_server:
        wait_until_up(model_server, partial(listens, grpc_port), TIMEOUT)
        settings = {"GATEWAY_BIND": f"127.0.0.1:{port}", "MODEL_SERVER_ADDRESS": f"127.0.0.1:{grpc_port}"}
        command = within(folder, gateway_command())
        with running(command, {**environment, **settings}, subprocess.DEVNULL) as gateway:
            wait_until_up(gateway, partial(responds, f"http://127.0.0.1:{port}/readyz"), TIMEOUT)
            yield Way(port, [psutil.Process(model_server.pid), psutil.Process(gateway.pid)])


def within(folder: Path, command: Sequence[str]) -> list[str]:
    """The command, run in a folder."""
    return list(command) if folder == ROOT else ["env", "-C", str(folder), *command]


def compared(values: Sequence[float], others: Sequence[float]) -> str:
    """The median of the ratios, round by round, and the middle half of them."""
    ratios = [value / other for value, other in zip(values, others, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def collect(port: int) -> None:
    """Take whatever spans come, until a signal."""
    server = grpc.server(ThreadPoolExecutor(4))
    handlers = {"Export": grpc.unary_unary_rpc_method_handler(lambda request, context: b"")}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(EXPORT, handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
