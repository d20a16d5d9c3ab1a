"""Print whether drift is raised where there is some, and only there: python -m benchmarks.drift PHANTOM.

PHANTOM is a folder of ``python -m training.phantom``, whose test images the model has not seen. Both tiers run. First
the gateway gets all test images. What it says of them is drawn from at random, 20,000 times: nothing may be raised.
Then each kind of shifted images comes after 200 usual ones, and the gateway's metrics tell what is raised when.
"""

import argparse
import http.client
import io
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from brain_tumor.contract import METADATA_ASSET
from brain_tumor.metadata import ModelMetadata
from brain_tumor.preprocess import Preprocessor
from brain_tumor.processes import (
    SHIPPED_MODEL,
    free_port,
    gateway_command,
    model_server_command,
    responds,
    running,
    wait_until_up,
)
from brain_tumor.quality.ood_samples import TEST_FAMILIES
from brain_tumor.reference import FEATURES, brightness
from gateway.metrics.drift import BOUNDS, SHORT, Windows

TIMEOUT = 120.0  # seconds, for a start or a response
QUIET_IMAGES = 20_000
ROUNDS = 5  # of so many images
STEP = 10  # images between two looks at the metrics
INDEX = re.compile(r'gateway_population_stability_index{feature="(\w+)",.*window="(\d+)"} (\S+)')


class Service:
    """The gateway, as its clients see it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)

    def classify(self, image: bytes) -> dict[str, object]:
        headers = {"Content-Type": "application/octet-stream"}
        return json.loads(self._ask("POST", "/predict", image, headers))

    def raised(self) -> set[str]:
        """The features that have drifted."""
        found = INDEX.findall(self._ask("GET", "/metrics").decode())
        return {feature for feature, window, index in found if float(index) > BOUNDS[int(window)]}

    def _ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
        self._connection.request(method, path, body, headers or {})
        with self._connection.getresponse() as response:
            document = response.read()
        if response.status != 200:
            raise SystemExit(f"{method} {path}: status {response.status}: {document.decode()}")
        return document


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("phantom", type=Path, help="folder of python -m training.phantom")
    parser.add_argument("--model", type=Path, default=SHIPPED_MODEL, help="folder of version folders (default: ours)")
    options = parser.parse_args()
    version = max(options.model.iterdir(), key=lambda folder: int(folder.name))
    metadata = ModelMetadata.from_json((version / METADATA_ASSET).read_text(encoding="utf-8"))
    rng = np.random.default_rng(0)
    files = rng.permutation(sorted((options.phantom / "Testing").glob("*/*"))).tolist()
    scans = {path: path.read_bytes() for path in files}
    with services(options.model) as new_gateway:
        with new_gateway() as service:
            features = [observed(service, metadata, scan) for scan in scans.values()]
            print(f"{len(files)} test images: {report(service.raised())}")
        quiet = report(drawn(features, metadata, rng))
        print(f"{ROUNDS} times {QUIET_IMAGES:,} images drawn from these, looked at every {STEP}: {quiet}", flush=True)
        for name, images in shifts(scans, rng).items():
            with new_gateway() as service:
                for path in rng.choice(files, SHORT):
                    service.classify(scans[path])
                print(f"{name}: before {report(service.raised())}, {report_when(service, images)}", flush=True)


@contextmanager
def services(model: Path) -> Iterator[Callable[[], AbstractContextManager[Service]]]:
    """A model server, and a function that starts a gateway in front of it."""
    grpc_port, rest_port, port = free_port(), free_port(), free_port()
    environment = {
        **os.environ,
        "GATEWAY_BIND": f"127.0.0.1:{port}",
        "MODEL_SERVER_ADDRESS": f"127.0.0.1:{grpc_port}",
    }

    @contextmanager
    def new_gateway() -> Iterator[Service]:
        with running(gateway_command(), environment, subprocess.DEVNULL) as process:
            wait_until_up(process, partial(responds, f"http://127.0.0.1:{port}/readyz"), TIMEOUT)
            yield Service(port)

    command = model_server_command(model, port=grpc_port, rest_port=rest_port)
    with running(command, environment, subprocess.DEVNULL) as process:
        wait_until_up(process, partial(responds, f"http://127.0.0.1:{rest_port}/v1/models/brain-tumor"), TIMEOUT)
        yield new_gateway


def observed(service: Service, metadata: ModelMetadata, scan: bytes) -> list[float]:
    """What the gateway counts of an image: a value for each of ``FEATURES``."""
    document = service.classify(scan)
    prepared = Preprocessor(metadata.image).prepare(scan)
    probabilities = list(document["probabilities"].values())
    confidence = max(probabilities)
    score = document["out_of_distribution"]["score"]
    return [probabilities.index(confidence), confidence, score, brightness(prepared.batch[0]), prepared.size]


def drawn(features: list[list[float]], metadata: ModelMetadata, rng: np.random.Generator) -> set[str]:
    """The features that are raised at any time while images are drawn that do not shift."""
    raised: set[str] = set()
    histograms = [metadata.reference[name] for name in FEATURES]
    bins = np.array(
        [[bins.bin_of(value) for bins, value in zip(histograms, row, strict=True)] for row in features], np.uint8
    )
    for _ in range(ROUNDS):
        windows = [Windows(histogram.counts) for histogram in histograms]
        for number, row in enumerate(bins[rng.integers(len(bins), size=QUIET_IMAGES)].tolist(), start=1):
            for window, index in zip(windows, row, strict=True):
                window.add(index)
            if number % STEP == 0:
                for name, window in zip(FEATURES, windows, strict=True):
                    raised |= {name for length, value in window.indices() if value > BOUNDS[length]}
    return raised


def shifts(scans: dict[Path, bytes], rng: np.random.Generator) -> dict[str, Iterator[bytes]]:
    """Kinds of shifted images, without end."""
    files = list(scans)
    healthy = [path for path in files if path.parent.name == "notumor"]

    def changed(change: Callable[[Image.Image], Image.Image]) -> Iterator[bytes]:
        while True:
            yield encoded(change(Image.open(io.BytesIO(scans[files[rng.integers(len(files))]]))))

    def mixed() -> Iterator[bytes]:
        while True:
            among = healthy if rng.random() < 0.6 else files
            yield scans[among[rng.integers(len(among))]]

    def textures() -> Iterator[bytes]:
        while True:
            texture = Image.fromarray(TEST_FAMILIES["natural texture"](rng, 256))  # a larger one takes long to draw
            yield encoded(texture.resize((1024, 768)))

    return {
        "another scanner, 40 % brighter": changed(lambda scan: ImageEnhance.Brightness(scan).enhance(1.4)),
        "another scanner, 40 % less contrast": changed(lambda scan: ImageEnhance.Contrast(scan).enhance(0.6)),
        "another export, 512 pixels a side": changed(lambda scan: scan.resize((512, 512))),
        "another class mix, 70 % without tumour": mixed(),
        "no scans, textures like those of photos": textures(),
    }


def report(raised: set[str]) -> str:
    return f"raised {', '.join(sorted(raised)) or 'nothing'}"


def report_when(service: Service, images: Iterator[bytes]) -> str:
    """After how many images, at most, each feature is raised."""
    when: dict[str, int] = {}
    for number in range(1, SHORT + 1):
        service.classify(next(images))
        if number % STEP == 0:
            when |= dict.fromkeys(service.raised() - set(when), number)
    found = ", ".join(f"{feature} after {number}" for feature, number in when.items())
    return f"then {found or 'nothing'}"


def encoded(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.convert("RGB").save(stream, "PNG", compress_level=1)
    return stream.getvalue()


if __name__ == "__main__":
    main()
