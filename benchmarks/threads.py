"""How the portable server uses its threads, beside streams of one thread: python -m benchmarks.threads MODEL.

MODEL is a version's folder of a converted model (``model-server/models/brain-tumor/1`` is the shipped one). Three ways
to compute what 1, 2, 4 and 8 callers ask for, one image a call, on OpenVINO and on all CPUs of the limit:

- streams: as many predictions at once as there are CPUs, on one thread each (OpenVINO's way to the most throughput);
- one: one prediction at a time, on all threads;
- server: the same, and calls that wait share a prediction, as the portable server does it.

The ways are interleaved, a few images each, and each ratio is the median of ratios within a round. ``--quota`` sets a
CPU quota as Kubernetes does (Linux, as root), ``--neighbours`` starts so many processes that take a CPU each.
"""

import argparse
import contextlib
import os
import queue
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from portable_model_server.engines.base import LoadedModel, Threads
from portable_model_server.engines.cpu import cpu_limit
from portable_model_server.engines.openvino import OpenVINOEngine, openvino
from portable_model_server.serving.batching import batched_where_it_pays
from serving_api.names import DEFAULT_SIGNATURE

Call = Callable[[np.ndarray], None]
CALLERS = (1, 2, 4, 8)
PERIOD_US = 100_000  # Kubernetes' own


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", type=Path, metavar="MODEL")
    options.add_argument("--quota", type=float, help="CPUs")
    options.add_argument("--neighbours", type=int, default=0)
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument("--images", type=int, default=8, help="of each way in a round (default: %(default)s)")
    arguments = options.parse_args()
    with limited(arguments.quota), neighbours(arguments.neighbours):
        cpus = cpu_limit()
        model = OpenVINOEngine(Threads(cpus)).load(arguments.model)
        ways = {
            "streams": streams(arguments.model, cpus),
            "one": calls(model),
            "server": calls(batched_where_it_pays(model)),
        }
        height, width = (model.signatures[DEFAULT_SIGNATURE].inputs["images"].shape or ())[1:3]
        image = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
        print(f"{cpus} CPUs, quota {arguments.quota or 'none'}, {arguments.neighbours} neighbours", flush=True)
        for callers in CALLERS:
            report(callers, measure(ways, callers, image, arguments.rounds, arguments.images))


def streams(path: Path, cpus: int) -> Call:
    """A model with a stream of one thread for each CPU."""
    properties = {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": cpus,
        "INFERENCE_NUM_THREADS": cpus,
        "ENABLE_CPU_PINNING": False,
    }
    compiled = openvino.Core().compile_model(path, "CPU", properties)
    idle: queue.SimpleQueue = queue.SimpleQueue()
    for _ in range(cpus):
        idle.put(compiled.create_infer_request())

    def call(image: np.ndarray) -> None:
        request = idle.get()
        request.infer({0: image}, share_outputs=True)
        idle.put(request)

    return call


def calls(model: LoadedModel) -> Call:
    def call(image: np.ndarray) -> None:
        model.predict(DEFAULT_SIGNATURE, {"images": image}, ("probabilities", "out_of_distribution"))

    return call


def measure(
    ways: dict[str, Call], callers: int, image: np.ndarray, rounds: int, images: int
) -> dict[str, list[tuple[float, float, float]]]:
    """Seconds an image, CPU seconds an image and seconds a call for each round of each way."""
    results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, call in ways.items():
            result = burst(call, callers, image, images)
            if number:  # the first round warms up
                results[name].append(result)
    return results


def burst(call: Call, callers: int, image: np.ndarray, images: int) -> tuple[float, float, float]:
    left = iter(range(images))
    waits: list[float] = []

    def work() -> None:
        while next(left, None) is not None:
            started = time.perf_counter()
            call(image)
            waits.append(time.perf_counter() - started)

    threads = [threading.Thread(target=work) for _ in range(callers)]
    wall, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - wall) / images, (time.process_time() - cpu) / images, statistics.mean(waits)


def report(callers: int, results: dict[str, list[tuple[float, float, float]]]) -> None:
    base = results["streams"]
    for name, result in results.items():
        wall, cpu, wait = (1e3 * statistics.median(column) for column in zip(*result, strict=True))
        ratios = [
            statistics.median(before[column] / after[column] for before, after in zip(base, result, strict=True))
            for column in range(3)
        ]
        print(
            f"{callers} callers, {name:8} {wall:7.1f} ms an image ({ratios[0]:4.2f}), "
            f"CPU {cpu:7.1f} ms ({ratios[1]:4.2f}), a call takes {wait:7.1f} ms ({ratios[2]:4.2f})",
            flush=True,
        )


@contextlib.contextmanager
def limited(cpus: float | None) -> Iterator[None]:
    """Put this process under a CPU quota, in a cgroup of its own."""
    if cpus is None:
        yield
        return
    first = Path("/sys/fs/cgroup/cpu")  # version 1
    root = first if first.exists() else Path("/sys/fs/cgroup")
    group = root / f"benchmark-threads-{os.getpid()}"
    group.mkdir()
    try:
        if root == first:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(int(cpus * PERIOD_US)))
        else:
            (group / "cpu.max").write_text(f"{int(cpus * PERIOD_US)} {PERIOD_US}")
        (group / "cgroup.procs").write_text(str(os.getpid()))
        yield
    finally:
        (root / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()


@contextlib.contextmanager
def neighbours(count: int) -> Iterator[None]:
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
