"""Print what serving on one machine costs: python -m benchmarks.first_answer (make bench).

Each figure is of a whole process, seen from outside, next to the bound the project holds itself to. Shared
machines are noisy: read them as a record, not as a test.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "examples" / "glioma.jpg"
PORT, GRPC_PORT, REST_PORT = 19696, 18500, 18501
GATEWAY = [sys.executable, "-m", "gateway"]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--skip-xception", action="store_true", help="leave out the full-size model, which takes a minute"
    )
    skip_xception = options.parse_args().skip_xception
    first_answer()
    gateway_alone()
    if not skip_xception:
        full_size_xception()


def first_answer() -> None:
    """From the start of ``make run`` to the answer for a sample scan."""
    start = time.monotonic()
    command = ["make", "run", f"PORT={PORT}", f"GRPC_PORT={GRPC_PORT}", f"REST_PORT={REST_PORT}"]
    with running(command):
        predict()
        report("first answer after `make run`", time.monotonic() - start, "s", "10")


def gateway_alone() -> None:
    """The gateway's start and memory, after a hundred answers of the shipped model."""
    with running(model_server_command(ROOT / "model-server" / "models" / "brain-tumor")):
        wait_for("/v1/models/brain-tumor", port=REST_PORT)  # or it would load on the same cores
        start = time.monotonic()
        with running(GATEWAY) as process:
            wait_for("/livez")
            report("gateway up", time.monotonic() - start, "s", "1.5")
            for _ in range(100):
                predict()
            master = psutil.Process(process.pid)
            resident = sum(each.memory_info().rss for each in (master, *master.children()))
            report("gateway, both processes, resident after 100 answers", resident / 1e6, "MB", "130")


def full_size_xception() -> None:
    """Xception at 299x299 with random weights: its size converted, and the portable server's memory with it."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", MAKE_XCEPTION, f"{folder}/xception.keras"], check=True, cwd=ROOT)
        command = [sys.executable, "-m", "converter", f"{folder}/xception.keras", folder]
        subprocess.run([*command, "--name", "brain-tumor", "--version", "1"], check=True, cwd=ROOT)
        model = Path(folder) / "brain-tumor"
        size = sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
        report("converted Xception on disk", size / 1e6, "MB", "90")
        with running(model_server_command(model)) as server, running(GATEWAY):
            for _ in range(10):
                predict()
            memory = psutil.Process(server.pid).memory_info()
            report("portable server with it, resident after 10 answers", memory.rss / 1e6, "MB", "500")


MAKE_XCEPTION = """
import json, pathlib, sys, keras
inputs = keras.Input((299, 299, 3))
features = keras.applications.Xception(weights=None, include_top=False)(keras.layers.Rescaling(1 / 127.5, -1)(inputs))
outputs = keras.layers.Dense(4, "softmax")(keras.layers.GlobalAveragePooling2D()(features))
path = pathlib.Path(sys.argv[1])
keras.Model(inputs, outputs).save(path)
path.with_suffix(".json").write_text(json.dumps({"class_names": ["glioma", "meningioma", "notumor", "pituitary"]}))
"""


def model_server_command(model: Path) -> list[str]:
    ports = [f"--port={GRPC_PORT}", f"--rest_api_port={REST_PORT}"]
    return [
        sys.executable,
        "-m",
        "portable_model_server",
        *ports,
        "--model_name=brain-tumor",
        f"--model_base_path={model}",
    ]


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "PYTHONPATH": "model-server",
        "GATEWAY_BIND": f"127.0.0.1:{PORT}",
        "MODEL_SERVER_ADDRESS": f"127.0.0.1:{GRPC_PORT}",
    }
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait_for(path: str, body: bytes | None = None, port: int = PORT, timeout: float = 120.0) -> None:
    deadline = time.monotonic() + timeout
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "image/jpeg"})
    while True:
        try:
            urllib.request.urlopen(request, timeout=30).read()
            return
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def predict() -> None:
    wait_for("/predict", SAMPLE.read_bytes())


def report(what: str, figure: float, unit: str, bound: str) -> None:
    print(f"{what:55} {figure:8.2f} {unit:4} (bound {bound})", flush=True)


if __name__ == "__main__":
    main()
