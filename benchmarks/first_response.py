"""Print what serving on one machine costs: python -m benchmarks.first_response (make bench).

Each number is of a whole process, measured from outside, and is printed next to the limit that the project sets
itself. Shared machines are noisy: read the numbers as a record, not as a test.
"""

import argparse
import contextlib
import http.client
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import AbstractContextManager
from pathlib import Path

import psutil

from brain_tumor import processes
from brain_tumor.contract import MODEL_NAME
from brain_tumor.processes import ROOT, SHIPPED_MODEL, gateway_command, model_server_command, responds

SAMPLE = (ROOT / "examples" / "glioma.jpg").read_bytes()
PORT, GRPC_PORT, REST_PORT = 19696, 18500, 18501
TIMEOUT = 120.0  # seconds


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--skip-xception", action="store_true", help="leave out the full-size model, which takes a minute"
    )
    skip_xception = options.parse_args().skip_xception
    first_response()
    gateway_alone()
    if not skip_xception:
        full_size_xception()


def first_response() -> None:
    """From the start of ``make run`` to the response for a sample scan."""
    start = time.monotonic()
    command = ["make", "run", f"PORT={PORT}", f"GRPC_PORT={GRPC_PORT}", f"REST_PORT={REST_PORT}"]
    with running(command) as process:
        processes.wait_until_up(process, predicts, TIMEOUT)
        report("first response after `make run`", time.monotonic() - start, "s", "10")


def gateway_alone() -> None:
    """The gateway's start and memory, after a hundred predictions of the shipped model."""
    with running(serving(SHIPPED_MODEL)) as model_server:
        # Wait for the model, or it would load on the same cores.
        processes.wait_until_up(model_server, rest_model_is_up, TIMEOUT)
        start = time.monotonic()
        with running(gateway_command()) as process:
            processes.wait_until_up(process, lambda: responds(f"http://127.0.0.1:{PORT}/livez"), TIMEOUT)
            report("gateway up", time.monotonic() - start, "s", "1.5")
            for _ in range(100):
                processes.wait_until_up(process, predicts, TIMEOUT)
            master = psutil.Process(process.pid)
            resident = sum(part.memory_info().rss for part in (master, *master.children()))
            report("gateway, both processes, resident after 100 responses", resident / 1e6, "MB", "130")


def full_size_xception() -> None:
    """Xception at 299x299 with random weights: its size after conversion, and the portable server's memory with it."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", MAKE_XCEPTION, f"{folder}/xception.keras"], check=True, cwd=ROOT)
        command = [sys.executable, "-m", "converter", f"{folder}/xception.keras", folder]
        subprocess.run([*command, "--name", MODEL_NAME, "--version", "1"], check=True, cwd=ROOT)
        model = Path(folder) / MODEL_NAME
        size = sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
        report("converted Xception on disk", size / 1e6, "MB", "90")
        with running(serving(model)) as server, running(gateway_command()) as gateway:
            for _ in range(10):
                processes.wait_until_up(gateway, predicts, TIMEOUT)
            memory = psutil.Process(server.pid).memory_info()
            report("portable server with it, resident after 10 responses", memory.rss / 1e6, "MB", "500")


MAKE_XCEPTION = """
import json, pathlib, sys, keras
inputs = keras.Input((299, 299, 3))
features = keras.applications.Xception(weights=None, include_top=False)(keras.layers.Rescaling(1 / 127.5, -1)(inputs))
outputs = keras.layers.Dense(4, "softmax")(keras.layers.GlobalAveragePooling2D()(features))
path = pathlib.Path(sys.argv[1])
keras.Model(inputs, outputs).save(path)
path.with_suffix(".json").write_text(json.dumps({"class_names": ["glioma", "meningioma", "notumor", "pituitary"]}))
"""


def serving(model: Path) -> list[str]:
    return model_server_command(model, port=GRPC_PORT, rest_port=REST_PORT)


def running(command: list[str]) -> AbstractContextManager[subprocess.Popen[bytes]]:
    settings = {"GATEWAY_BIND": f"127.0.0.1:{PORT}", "MODEL_SERVER_ADDRESS": f"127.0.0.1:{GRPC_PORT}"}
    return processes.running(command, {**os.environ, **settings}, subprocess.DEVNULL)


def rest_model_is_up() -> bool:
    return responds(f"http://127.0.0.1:{REST_PORT}/v1/models/{MODEL_NAME}")


def predicts() -> bool:
    """Whether the gateway classifies the sample scan."""
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/predict", SAMPLE, {"Content-Type": "image/jpeg"})
    with contextlib.suppress(OSError, http.client.HTTPException), urllib.request.urlopen(request, timeout=30):
        return True
    return False


def report(what: str, value: float, unit: str, bound: str) -> None:
    print(f"{what:55} {value:8.2f} {unit:4} (bound {bound})", flush=True)


if __name__ == "__main__":
    main()
