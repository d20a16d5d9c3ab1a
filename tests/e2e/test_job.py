"""The client as a Job over a volume: each image is once in the results, however often its pods die.

JOB_IMAGES=10000 make e2e TESTS=tests/e2e/test_job.py takes more images, and kills more pods.
"""

import os
import random
import time
from collections.abc import Iterator
from itertools import cycle, islice

import pytest

from tests.e2e.faults import Faults
from tests.e2e.kubectl import Kubectl, name_of
from tests.e2e.scans import Held, Scans, names, scans
from tests.e2e.stage import OVERLAYS, Stage
from tests.processes import wait_until

IMAGES = int(os.environ.get("JOB_IMAGES", "600"))
KILLS = max(3, IMAGES // 1000)
SHARDS = 4
UNDER_WAY = 4  # images that a pod has sent and not written down, at most
MINUTES = 14
VOLUMES = "persistentvolume/brain-tumor-e2e-images", "persistentvolume/brain-tumor-e2e-results"


@pytest.fixture
def images(stage: Stage, direct: str, faults: Faults, kubectl: Kubectl) -> Iterator[Scans]:
    with scans(faults, IMAGES) as made:
        yield made
        kubectl("delete", "jobs", "--all", "--cascade=foreground", "--timeout=60s")
        kubectl("delete", "persistentvolumeclaims", "--all")
        kubectl("delete", *VOLUMES, "--ignore-not-found")


def end(kubectl: Kubectl, images: Scans, held: Held, how: str) -> None:
    """End the pod of a client that is held."""
    if how == "kill":
        images.signal(held, "KILL")
        return
    wait_until(lambda: bool(pods_with(kubectl, held.container)), "the pod's status", timeout=60)
    (name,) = pods_with(kubectl, held.container)
    if how == "force":
        kubectl("delete", "pod", name, "--force", "--grace-period=0")
    else:
        kubectl("delete", "pod", name, "--wait=false")
        images.signal(held, "CONT")


def pods_with(kubectl: Kubectl, container: str) -> list[str]:
    """The pods of the Job that say that they have this container."""
    return [
        name_of(pod)
        for pod in kubectl.pods("classify")
        if any(
            status.get("containerID", "").endswith(container) for status in pod["status"].get("containerStatuses", [])
        )
    ]


def sent(kubectl: Kubectl) -> int:
    """How many calls the model servers have completed."""
    return sum(kubectl.predictions(name_of(pod)) for pod in kubectl.pods("model-server"))


def test_each_image_is_once_in_the_results_however_often_pods_die(images: Scans, kubectl, stage, report):
    started, before = time.monotonic(), sent(kubectl)
    chance = random.Random(IMAGES)
    stage.apply(images.bind, overlay=OVERLAYS / "job")
    for number, how in enumerate(islice(cycle(("kill", "force", "delete")), KILLS)):
        enough = (number + chance.random()) / (KILLS + 1) * IMAGES
        end(kubectl, images, images.hold(enough), how)
    kubectl("wait", "--for=condition=complete", "job/classify", f"--timeout={MINUTES}m", timeout=MINUTES * 60)
    more = sent(kubectl) - before - IMAGES
    seconds = time.monotonic() - started
    report(f"{IMAGES} images, {KILLS} pods ended: {seconds:.0f} s; {more} more calls of model servers than images")
    # Besides the images that are sent again, each gateway looks every few seconds whether the model has changed.
    assert 0 <= more < KILLS * UNDER_WAY + seconds
    assert images.done().keys() == {f"part-{index}-of-{SHARDS}.csv" for index in range(SHARDS)}, "no journal is left"
    rows = [row for index in range(SHARDS) for row in images.table(f"classify/part-{index}-of-{SHARDS}.csv")]
    assert sorted(row["path"] for row in rows) == names(IMAGES)
    assert all(row["class"] and not row["error_detail"] for row in rows)

    stage.apply(overlay=OVERLAYS / "merge")
    kubectl("wait", "--for=condition=complete", "job/classify-merge", "--timeout=60s")
    assert images.table("classify.csv") == rows
