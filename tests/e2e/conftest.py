import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from brain_tumor.contract import IMAGES, METADATA_ASSET, PREDICT_SIGNATURE, PROBABILITIES
from brain_tumor.metadata import ModelMetadata
from brain_tumor.preprocess import Preprocessor
from portable_model_server.engines.base import Threads
from portable_model_server.engines.openvino import OpenVINOEngine
from tests.e2e.faults import Faults
from tests.e2e.kubectl import Kubectl
from tests.e2e.lagging import lagging_copies
from tests.e2e.load import CASES, Load
from tests.e2e.stage import NAMESPACE, OVERLAYS, TIERS, Stage
from tests.processes import EXAMPLES, SHIPPED_MODEL

_MEASUREMENTS = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    if not shutil.which("kubectl"):
        pytest.exit("make e2e needs kubectl: install it", 4)
    probe = subprocess.run(["kubectl", "version", "--request-timeout=10s"], capture_output=True, text=True)
    if probe.returncode:
        pytest.exit(f"make e2e needs a cluster: point KUBECONFIG to one\n{probe.stderr}", 4)
    return Kubectl(NAMESPACE)


@pytest.fixture(scope="session")
def report(request) -> Callable[[str], None]:
    """Print what a test measured: at once, and again after the last test."""
    measurements = request.config.stash.setdefault(_MEASUREMENTS, [])
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def print_and_keep(text: str) -> None:
        test = os.environ["PYTEST_CURRENT_TEST"].partition("::")[2].partition(" ")[0]
        measurements.append(f"{test}: {text}")
        with capture.global_and_fixture_disabled():
            print(f"\n  {text}", flush=True)

    return print_and_keep


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    terminalreporter.section("measurements")
    for line in config.stash.get(_MEASUREMENTS, []):
        terminalreporter.line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    result = yield
    if result.failed:
        result.sections.append(("the cluster", Kubectl(NAMESPACE).events_and_logs()))
    return result


@pytest.fixture(scope="session")
def stage(kubectl, report) -> Iterator[Stage]:
    """Both tiers in a new namespace, removed at the end. With KEEP=1 an existing namespace is used and kept."""
    stage = Stage(kubectl)
    if not os.environ.get("KEEP"):
        stage.put_away()
    started = time.monotonic()
    stage.apply()
    stage.settle()
    report(f"both tiers ready {time.monotonic() - started:.1f} s after kubectl apply")
    yield stage
    if not os.environ.get("KEEP"):
        stage.put_away()


@pytest.fixture(scope="session")
def load(stage, kubectl) -> Load:
    kubectl("wait", "--for=condition=Ready", "pod/load", "--timeout=60s")
    return Load(kubectl)


@pytest.fixture(scope="session")
def faults() -> Iterator[Faults]:
    kubectl = Kubectl(f"{NAMESPACE}-faults")
    stage = Stage(kubectl)
    stage.apply(overlay=OVERLAYS / "faults")
    kubectl("rollout", "status", "daemonset/faults", "--timeout=60s")
    yield Faults(kubectl)
    stage.put_away()


@pytest.fixture(scope="session")
def expected() -> dict[str, tuple[str, dict[str, float]]]:
    """The shipped model's predictions for the sample images, without a server: (class, probabilities) by case."""
    metadata = ModelMetadata.from_json((SHIPPED_MODEL / "1" / METADATA_ASSET).read_text())
    model = OpenVINOEngine(Threads(1)).load(SHIPPED_MODEL / "1")
    preprocessor = Preprocessor(metadata.image, max_pixels=1 << 24)
    predictions = {}
    for case in CASES:
        image = preprocessor.from_bytes((EXAMPLES / f"{case}.jpg").read_bytes())
        outputs = model.predict(PREDICT_SIGNATURE, {IMAGES: image}, [PROBABILITIES])
        probabilities = np.asarray(outputs[PROBABILITIES][0], float)
        named = dict(zip(metadata.class_names, probabilities.tolist(), strict=True))
        predictions[case] = (max(named, key=lambda name: named[name]), named)
    return predictions


@pytest.fixture
def direct(stage) -> str:
    """The name of the gateway's Service."""
    stage.put_on("direct")
    stage.settle()
    return "gateway"


@pytest.fixture(scope="session")
def copies(stage) -> Iterator[None]:
    stage.put_on("lagging")
    with lagging_copies(stage.kubectl, TIERS):
        yield


# Scope session, so that pytest groups the tests of each overlay: a change of the overlay replaces the gateways.
@pytest.fixture(scope="session", params=["direct", "lagging"])
def overlay(request) -> str:
    return str(request.param)


@pytest.fixture
def endpoints(request, overlay, stage) -> str:
    """The name of a Service: one whose endpoints change at once with the pods, or one whose endpoints lag."""
    if overlay == "direct":
        return str(request.getfixturevalue("direct"))
    request.getfixturevalue("copies")
    stage.put_on("lagging")
    stage.settle()
    return "gateway-lagging"
