"""The client as a Job over a volume: each image is once in the results, however often its pods die.

JOB_IMAGES=10000 make e2e TESTS=tests/e2e/test_job.py takes more images, and kills more pods.
"""

import os
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle, islice
from typing import Any

import pytest

from tests.e2e.faults import Faults
from tests.e2e.kubectl import Kubectl, KubectlError, name_of
from tests.e2e.scans import Scans, names, scans
from tests.e2e.stage import OVERLAYS, Stage
from tests.processes import wait_until

IMAGES = int(os.environ.get("JOB_IMAGES", "600"))
KILLS = max(3, IMAGES // 1000)
SHARDS = 4
MINUTES = 14
VOLUMES = "persistentvolume/brain-tumor-e2e-images", "persistentvolume/brain-tumor-e2e-results"


@pytest.fixture
def images(stage: Stage, direct: str, faults: Faults, kubectl: Kubectl) -> Iterator[Scans]:
    with scans(faults, IMAGES) as made:
        yield made
        kubectl("delete", "jobs", "--all", "--cascade=foreground", "--timeout=60s")
        kubectl("delete", "persistentvolumeclaims", "--all")
        kubectl("delete", *VOLUMES, "--ignore-not-found")


def running(kubectl: Kubectl) -> list[dict[str, Any]]:
    """The Job's pods whose container runs."""
    return [
        pod
        for pod in kubectl.pods("classify")
        if any("running" in status["state"] for status in pod["status"].get("containerStatuses", []))
    ]


def end_one(kubectl: Kubectl, faults: Faults, how: str, chance: random.Random) -> bool:
    """End one of the Job's pods; False if there is none, or it has just ended by itself."""
    pods = running(kubectl)
    if not pods:
        assert "completionTime" not in kubectl.get("job/classify")["status"], "it ended too early: take more images"
        return False
    pod = chance.choice(pods)
    with suppress(KubectlError):
        if how == "kill":
            faults.kill_container(pod)
        else:
            kubectl("delete", "pod", name_of(pod), *(["--force", "--grace-period=0"] if how == "force" else []))
        return True
    return False


def sent(kubectl: Kubectl) -> int:
    """How many calls the model servers have completed."""
    return sum(kubectl.predictions(name_of(pod)) for pod in kubectl.pods("model-server"))


def test_each_image_is_once_in_the_results_however_often_pods_die(images: Scans, kubectl, faults, stage, report):
    started, before = time.monotonic(), sent(kubectl)
    chance = random.Random(IMAGES)
    stage.apply(images.bind, overlay=OVERLAYS / "job")
    for number, how in enumerate(islice(cycle(("kill", "force", "delete")), KILLS)):
        enough = (number + chance.random()) / (KILLS + 1) * IMAGES
        wait_until(lambda enough=enough: sum(images.done().values()) >= enough, f"{enough:.0f} results", timeout=600)
        wait_until(lambda how=how: end_one(kubectl, faults, how, chance), f"a pod to {how}", timeout=120)
    kubectl("wait", "--for=condition=complete", "job/classify", f"--timeout={MINUTES}m", timeout=MINUTES * 60)
    more = sent(kubectl) - before - IMAGES
    seconds = time.monotonic() - started
    report(f"{IMAGES} images, {KILLS} pods ended: {seconds:.0f} s; {more} more calls of model servers than images")
    assert images.done().keys() == {f"part-{index}-of-{SHARDS}.csv" for index in range(SHARDS)}, "no journal is left"
    rows = [row for index in range(SHARDS) for row in images.table(f"classify/part-{index}-of-{SHARDS}.csv")]
    assert sorted(row["path"] for row in rows) == names(IMAGES)
    assert all(row["class"] and not row["error_detail"] for row in rows)

    stage.apply(overlay=OVERLAYS / "merge")
    kubectl("wait", "--for=condition=complete", "job/classify-merge", "--timeout=60s")
    assert images.table("classify.csv") == rows
