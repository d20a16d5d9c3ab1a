"""What operators live through, in one go: a source that drifts, the next model on trial, a bad one, and a good one.

Requests come all the while, a real Prometheus scrapes and judges, and a real Jaeger takes the traces where one was
built (docs/tracing.md). No request may fail.
"""

import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

from tests.e2e import trials, watch
from tests.e2e.kubectl import Kubectl
from tests.e2e.load import Load
from tests.e2e.stage import Stage
from tests.e2e.trials import ENOUGH, LENIENT, OTHER_CLASSES, Make, counts, grows, trial, versions
from tests.e2e.watch import Watch
from tests.processes import wait_until
from training.phantom.dataset import Plan, write

RATE, DRIFTING_RATE = 10, 20  # requests a second
PATIENTS = 120  # with two scans each
SEED = 7  # not those that the shipped model knows
FULL = 500  # images after which each of two gateways has compared 200 with the model's validation
DRIFT, FAILS = "BrainTumorDrift", "BrainTumorCanaryFails"

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture
def drill(stage: Stage, kubectl: Kubectl) -> Iterator[str]:
    """The name of the gateway's Service; both tiers send traces."""
    stage.put_on("drill")
    stage.settle()
    yield "gateway"
    kubectl("delete", "pod/jaeger", "service/jaeger", "networkpolicy/jaeger", "networkpolicy/tracing")
    stage.put_on("direct")
    stage.settle()


@pytest.fixture
def make(drill, stage: Stage, tmp_path: Path) -> Iterator[Make]:
    with trials.steps(stage, tmp_path) as steps:
        yield steps


@pytest.fixture
def scans(load: Load, tmp_path: Path) -> dict[str, bytes]:
    """Scans of patients that the model has not seen, as the load knows them."""
    write(Plan(12, PATIENTS, seed=SEED, size=192), tmp_path / "phantom", 1)
    found = {path.stem: path.read_bytes() for path in sorted((tmp_path / "phantom" / "Testing").glob("*/*.jpg"))}
    load.add(found)
    return found


@pytest.fixture
def bright(load: Load, scans: dict[str, bytes]) -> list[str]:
    """The same scans from a source that drifts: all twice as bright."""
    made = {}
    for name, data in scans.items():
        file = BytesIO()
        ImageEnhance.Brightness(Image.open(BytesIO(data)).convert("L")).enhance(2).save(file, "JPEG")
        made[f"bright-{name}"] = file.getvalue()
    load.add(made)
    return list(made)


class Timeline:
    """Says what happens, and that everything is watched meanwhile."""

    def __init__(self, watching: Watch, report: Callable[[str], None]) -> None:
        self._watching = watching
        self._report = report
        self._began = time.monotonic()
        self._last = time.time()

    def __call__(self, text: str) -> None:
        """Say what has happened since the line before; all pods are scraped, and new traces lead through both tiers."""
        wait_until(self._watching.scrapes_all, "a scrape of each pod")
        seen = ""
        if watch.has_jaeger():
            whole = {"brain-tumor-gateway", "portable-model-server"}
            wait_until(lambda: whole in self._watching.traces(self._last), "a trace through both tiers")
            seen = " (traced)"
        self._last = time.time()
        self._report(f"+{time.monotonic() - self._began:4.0f} s  {text}{seen}")


def test_the_drill(
    drill, make: Make, scans, bright, load: Load, kubectl: Kubectl, report: Callable[[str], None], tmp_path: Path
) -> None:
    bounds = tmp_path / "bounds.toml"
    bounds.write_text(LENIENT)
    image = trials.next_image(kubectl)
    if watch.has_jaeger():
        watch.start_jaeger(kubectl)
    with watch.watched(kubectl, tmp_path) as watching, load.during(drill, rate=RATE, at_least=0, cases=scans) as usual:
        timeline = Timeline(watching, report)

        def fires(alert: str) -> None:
            wait_until(lambda: alert in watching.firing(), f"the alert {alert}", timeout=120)

        wait_until(lambda: predictions(watching) > FULL, f"{FULL} predictions", timeout=120)
        assert not {DRIFT, FAILS} & watching.firing()
        timeline(f"{RATE} scans a second, {FULL} so far: no drift")

        drifting = load.start(drill, rate=str(DRIFTING_RATE), cases=bright)
        fires(DRIFT)
        drifting.stop()
        drifted = drifting.outcome()
        features = {labels["feature"] for labels, _ in watching.values("gateway_population_stability_index > 0.25")}
        assert "brightness" in features
        timeline(f"a source of bright scans: {DRIFT} fires after {len(drifted)} of them, by {sorted(features)}")

        make("canary", f"IMAGE={image}", "SHARE=0", "SHADOW=100")
        wait_until(lambda: trial(kubectl).images >= ENOUGH, "comparisons", timeout=120)
        assert not counts(kubectl)
        timeline(f"the next model in the shadow:\n{make('canary-report').stdout}")

        make("canary", "SHARE=10", "SHADOW=100")
        wait_until(grows(kubectl, "answered"), "responses of the canary", timeout=120)
        timeline("the canary answers 10 % of the requests")

        trials.add_flag(kubectl, OTHER_CLASSES)
        wait_until(grows(kubectl, "mismatch"), "requests that the bad canary did not answer", timeout=120)
        fires(FAILS)
        refused = make("promote", fails=True).stderr
        assert "failures" in refused
        timeline(f"a canary with other classes: {FAILS} fires, and promote refuses:\n{refused}")

        make("rollback")
        timeline("rolled back")

        make("canary", f"IMAGE={image}", "SHARE=50", "SHADOW=100")
        wait_until(lambda: trial(kubectl).images >= ENOUGH, "comparisons", timeout=120)
        wait_until(grows(kubectl, "answered"), "responses of the canary", timeout=120)
        make("promote", f"BOUNDS={bounds}")
        wait_until(lambda: versions(load, drill) == {2}, "the next model alone", timeout=120)
        timeline("a good canary is promoted: version 2 responds")
    report(f"scans: {usual}")
    report(f"bright scans: {drifted}")
    assert not usual.failed
    assert not drifted.failed


def predictions(watching: Watch) -> float:
    """How many images the gateways that run have classified."""
    return sum(number for _, number in watching.values("sum(gateway_predictions_total)"))
