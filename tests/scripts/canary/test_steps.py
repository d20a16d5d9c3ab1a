"""What each step does to a cluster: kustomize's real output, applied to a fake cluster that keeps it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kube_config.manifests import KUBE_CONFIG, require
from tests.processes import ROOT

NEXT = "brain-tumor-model-server-portable:next"
CANARY = "deployment/model-server-canary"
GOOD = """
gateway_canary_requests_total{outcome="answered"} 100.0
gateway_shadow_requests_total{outcome="compared"} 1000.0
gateway_shadow_agreements_total 1000.0
gateway_shadow_images_total 1000.0
gateway_shadow_distance_bucket{le="0.01"} 1000.0
gateway_shadow_distance_bucket{le="+Inf"} 1000.0
gateway_shadow_distance_sum 1.0
gateway_model_seconds_bucket{label="stable",le="0.1"} 1000.0
gateway_model_seconds_bucket{label="stable",le="+Inf"} 1000.0
gateway_model_seconds_bucket{label="canary",le="0.1"} 1000.0
gateway_model_seconds_bucket{label="canary",le="+Inf"} 1000.0
"""

Done = subprocess.CompletedProcess[str]


class Cluster:
    """The fake cluster, with an overlay that is deployed."""

    def __init__(self, folder: Path, overlay: Path) -> None:
        self.folder, self.overlay = folder, overlay
        tool = folder / "bin" / "kubectl"
        tool.parent.mkdir(parents=True)
        fake = Path(__file__).with_name("fake_cluster.py")
        tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{fake}" "$@"\n')
        tool.chmod(0o755)
        self.environment = {
            "PATH": f"{tool.parent}:/usr/bin:/bin",
            "FAKE_CLUSTER": str(folder),
            "REAL_KUBECTL": require("kubectl"),
        }
        self.fail()
        self.count("")

    def deploy(self) -> None:
        manifests = subprocess.run(
            [self.environment["REAL_KUBECTL"], "kustomize", self.overlay], capture_output=True, text=True, check=True
        ).stdout
        objects = [document for document in yaml.safe_load_all(manifests) if document]
        kept = {f"{one['kind'].lower()}/{one['metadata']['name']}": one for one in objects}
        (self.folder / "objects.json").write_text(json.dumps(kept))

    def deploy_beside(self) -> None:
        """Deploy again, while there is a canary."""
        before = self.objects()
        self.deploy()
        (self.folder / "objects.json").write_text(json.dumps(before | self.objects()))

    def fail(self, *commands: str) -> None:
        (self.folder / "fails").write_text("\n".join(commands))

    def count(self, page: str) -> None:
        """What the one gateway has counted."""
        (self.folder / "gateway-1.metrics").write_text(page)

    def step(self, *arguments: str) -> Done:
        (self.folder / "calls").unlink(missing_ok=True)
        command = [sys.executable, "-m", "scripts.canary", "--overlay", str(self.overlay), *arguments]
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)

    def objects(self) -> dict[str, Any]:
        return json.loads((self.folder / "objects.json").read_text())

    def image(self, deployment: str) -> str:
        return self.objects()[f"deployment/{deployment}"]["spec"]["template"]["spec"]["containers"][0]["image"]

    def shares(self) -> str:
        return self.objects()["configmap/canary"]["data"]["canary.toml"]

    def calls(self) -> list[str]:
        """The commands that change something or wait."""
        lines = (self.folder / "calls").read_text().splitlines()
        return [line for line in lines if not line.startswith("get ")]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    cluster = Cluster(tmp_path / "cluster", KUBE_CONFIG / "overlays" / "kind")
    cluster.deploy()
    return cluster


@pytest.fixture
def canary(cluster: Cluster) -> Cluster:
    """The cluster with a canary."""
    done = cluster.step("begin", "--image", NEXT)
    assert done.returncode == 0, done.stderr
    return cluster


def in_order(calls: list[str], *parts: str) -> bool:
    """Whether there is a call with each part, one after the other."""
    left = iter(calls)
    return all(any(part in call for call in left) for part in parts)


def test_the_gateways_are_told_of_a_canary_that_responds(cluster: Cluster) -> None:
    before, stable = cluster.objects(), cluster.image("model-server")
    done = cluster.step("begin", "--image", NEXT, "--share", "20")
    assert done.returncode == 0, done.stderr
    assert in_order(
        cluster.calls(),
        "apply --selector app.kubernetes.io/name=model-server-canary",
        f"rollout status {CANARY}",
        "apply --filename",
        "rollout status deployment/gateway",
    )
    assert (cluster.image("model-server-canary"), cluster.image("model-server")) == (NEXT, stable)
    assert cluster.shares() == "share = 20\nshadow = 50\n"
    assert "20 % of the requests, and 50 % of the others" in done.stdout
    changed = {name for name, manifest in cluster.objects().items() if manifest != before.get(name)}
    assert changed == {
        *(CANARY, "service/model-server-canary", "poddisruptionbudget/model-server-canary"),
        *("configmap/canary", "configmap/canary-state", "deployment/gateway"),
        *("networkpolicy/gateway", "networkpolicy/model-server"),
    }


def test_other_shares_change_the_file_alone(canary: Cluster) -> None:
    before = canary.objects()
    done = canary.step("begin", "--share", "25")
    assert done.returncode == 0, done.stderr
    assert canary.shares() == "share = 25\nshadow = 50\n"
    after = canary.objects()
    assert {name for name in after if after[name] != before[name]} == {"configmap/canary"}
    assert not [call for call in canary.calls() if call.startswith("rollout")]


@pytest.mark.parametrize(
    ("fails", "cleaned_up"),
    [
        (f"rollout status {CANARY}", True),
        # What cannot be applied or become ready when the canary begins, cannot when it ends: that is for a person.
        ("apply --filename", False),
        ("rollout status deployment/gateway", False),
    ],
)
def test_a_canary_that_cannot_be_started_leaves_nothing(cluster: Cluster, fails: str, cleaned_up: bool) -> None:
    before = cluster.objects()
    cluster.fail(fails)
    done = cluster.step("begin", "--image", NEXT)
    assert done.returncode == 1
    assert f"{fails} fails" in done.stderr
    assert "Traceback" not in done.stderr
    if not cleaned_up:
        cluster.fail()
        assert cluster.step("rollback").returncode == 0
    assert cluster.objects() == before


def test_why_a_canary_does_not_start_is_said_and_no_gateway_was_told(cluster: Cluster) -> None:
    cluster.fail(f"rollout status {CANARY}")
    done = cluster.step("begin", "--image", NEXT)
    assert "model-server-canary does not become ready" in done.stderr
    assert "No gateway knew of it" in done.stdout
    assert not [call for call in cluster.calls() if call.startswith("apply --filename")]


def test_a_second_canary_is_refused(canary: Cluster) -> None:
    done = canary.step("begin", "--image", "another:1")
    assert done.returncode == 1
    assert "make rollback ends it" in done.stderr
    assert canary.image("model-server-canary") == NEXT


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("begin",), 1, "make canary IMAGE=name:tag"),
        (("begin", "--image", NEXT, "--share", "101"), 2, "not between 0 and 100"),
        (("begin", "--image", NEXT, "--share", "nan"), 2, "not between 0 and 100"),
        (("report",), 1, "there is no canary"),
        (("promote",), 1, "there is no canary"),
        (("rollback",), 1, "nothing to roll back"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(cluster: Cluster, arguments, status, message) -> None:
    before = cluster.objects()
    done = cluster.step(*arguments)
    assert done.returncode == status
    assert message in done.stderr
    assert cluster.objects() == before


def test_without_the_tiers_nothing_begins(cluster: Cluster) -> None:
    (cluster.folder / "objects.json").write_text("{}")
    done = cluster.step("begin", "--image", NEXT)
    assert done.returncode == 1
    assert "first make deploy" in done.stderr


def test_the_report_counts_from_the_canary_s_beginning(cluster: Cluster) -> None:
    cluster.count(GOOD)  # of an earlier canary
    assert cluster.step("begin", "--image", NEXT).returncode == 0
    cluster.count(GOOD.replace("1000.0", "1500.0").replace("100.0", "130.0"))
    done = cluster.step("report")
    assert done.returncode == 0, done.stderr
    assert "30 answered" in done.stdout
    assert "500 compared" in done.stdout


def test_a_gateway_that_still_starts_has_counted_nothing(canary: Cluster) -> None:
    canary.count(GOOD)
    (canary.folder / "starting.metrics").write_text("")
    canary.fail("pods/starting")
    done = canary.step("report")
    assert done.returncode == 0, done.stderr
    assert "1,000 compared" in done.stdout


def test_metrics_that_need_a_key_are_said_before_anything_changes(cluster: Cluster) -> None:
    cluster.fail("get --raw")
    before = cluster.objects()
    done = cluster.step("begin", "--image", NEXT)
    assert done.returncode == 1
    assert "admin-port" in done.stderr
    assert cluster.objects() == before


def test_a_canary_that_has_not_shown_enough_is_not_promoted(canary: Cluster) -> None:
    canary.count(GOOD.replace("1000.0", "100.0"))
    before = canary.objects()
    done = canary.step("promote")
    assert done.returncode == 3
    assert "images: 100 were compared; at least 500 is asked for" in done.stderr
    assert canary.objects() == before
    assert not canary.calls()


def test_promote_and_roll_back(canary: Cluster) -> None:
    canary.count(GOOD)
    stable = canary.image("model-server")
    done = canary.step("promote")
    assert done.returncode == 0, done.stderr
    assert canary.image("model-server") == NEXT
    assert CANARY not in canary.objects()
    # All requests have the new model before the gateways leave the canary, and the canary is there until they have.
    assert in_order(
        canary.calls(),
        "rollout status deployment/model-server",
        "rollout status deployment/gateway",
        "delete deployment",
    )
    assert 'images:\n  - name: brain-tumor-model-server-portable\n    newTag: "next"' in done.stdout
    done = canary.step("rollback")
    assert done.returncode == 0, done.stderr
    assert canary.image("model-server") == stable
    assert "images:" not in done.stdout  # as the overlay has it
    assert "configmap/canary-state" not in canary.objects()
    assert "nothing to roll back" in canary.step("rollback").stderr


def test_a_model_server_that_does_not_start_with_it_has_its_own_again(canary: Cluster) -> None:
    canary.count(GOOD)
    stable, before = canary.image("model-server"), canary.objects()
    canary.fail("rollout status deployment/model-server ")
    done = canary.step("promote")
    assert done.returncode == 1
    assert f"the model server gets {stable} again" in done.stdout
    assert canary.objects() == before


def cut_off(cluster: Cluster) -> str:
    """Leave the cluster as a promotion does that ends before the model server is ready; the image before."""
    cluster.count(GOOD)
    stable = cluster.image("model-server")
    objects = cluster.objects()
    objects["deployment/model-server"]["spec"]["template"]["spec"]["containers"][0]["image"] = NEXT
    state = json.loads(objects["configmap/canary-state"]["data"]["state.json"])
    state |= {"promoted": NEXT, "before": stable}
    objects["configmap/canary-state"]["data"]["state.json"] = json.dumps(state)
    (cluster.folder / "objects.json").write_text(json.dumps(objects))
    return stable


def test_a_promotion_that_was_cut_off_can_be_repeated_and_undone(canary: Cluster) -> None:
    stable = cut_off(canary)
    assert canary.step("promote").returncode == 0
    assert (canary.image("model-server"), CANARY in canary.objects()) == (NEXT, False)
    assert canary.step("rollback").returncode == 0
    assert canary.image("model-server") == stable


def test_a_promotion_that_was_cut_off_can_be_rolled_back(canary: Cluster) -> None:
    stable = cut_off(canary)
    done = canary.step("rollback")
    assert done.returncode == 0, done.stderr
    assert f"{stable} answers all requests" in done.stdout
    assert (canary.image("model-server"), CANARY in canary.objects()) == (stable, False)


def test_a_canary_that_somebody_ended_meanwhile_does_not_come_back(canary: Cluster) -> None:
    canary.count(GOOD)
    canary.fail("rollout status deployment/model-server ")
    (canary.folder / "ends").write_text("rollout status deployment/model-server ")
    assert canary.step("promote").returncode == 1
    assert CANARY not in canary.objects()


def test_a_promotion_that_cannot_be_undone_stays(canary: Cluster) -> None:
    canary.count(GOOD)
    assert canary.step("promote").returncode == 0
    before = canary.objects()
    canary.fail("rollout status deployment/model-server ")
    done = canary.step("rollback")
    assert done.returncode == 1
    assert f"the model server gets {NEXT} again" in done.stdout
    assert canary.objects() == before


def test_a_promotion_that_the_overlay_has_is_not_undone(canary: Cluster, other_overlay) -> None:
    """Or a second rollback would bring back what was before a promotion of long ago."""
    canary.count(GOOD)
    assert canary.step("promote").returncode == 0
    canary.overlay = other_overlay("kind", images=[{"name": "brain-tumor-model-server-portable", "newTag": "next"}])
    done = canary.step("rollback")
    assert done.returncode == 1
    assert "make deploy" in done.stderr
    assert canary.image("model-server") == NEXT


def test_gateways_that_do_not_know_the_canary_are_told(canary: Cluster) -> None:
    """make deploy takes it from them."""
    canary.deploy_beside()
    done = canary.step("begin", "--share", "25")
    assert done.returncode == 0, done.stderr
    spec = canary.objects()["deployment/gateway"]["spec"]["template"]["spec"]
    assert "canary" in [volume["name"] for volume in spec["volumes"]]
    assert canary.shares() == "share = 25\nshadow = 50\n"


def test_rollback_stops_the_requests_first(canary: Cluster) -> None:
    done = canary.step("rollback")
    assert done.returncode == 0, done.stderr
    assert in_order(
        canary.calls(),
        'patch configmap canary --type merge --patch {"data": {"canary.toml": "share = 0\\nshadow = 0\\n"}}',
        "annotate pods",
        "rollout status deployment/gateway",
        "delete deployment",
    )


def test_after_a_rollback_the_cluster_is_as_deployed(cluster: Cluster) -> None:
    before = cluster.objects()
    assert cluster.step("begin", "--image", NEXT).returncode == 0
    assert cluster.step("rollback").returncode == 0
    assert cluster.objects() == before


def test_a_half_started_canary_can_be_rolled_back(canary: Cluster) -> None:
    objects = canary.objects()
    del objects["configmap/canary"], objects["configmap/canary-state"]
    (canary.folder / "objects.json").write_text(json.dumps(objects))
    assert canary.step("rollback").returncode == 0
    assert CANARY not in canary.objects()


def test_a_promotion_that_somebody_deployed_over_is_not_undone(canary: Cluster) -> None:
    canary.count(GOOD)
    assert canary.step("promote").returncode == 0
    objects = canary.objects()
    objects["deployment/model-server"]["spec"]["template"]["spec"]["containers"][0]["image"] = "another:1"
    (canary.folder / "objects.json").write_text(json.dumps(objects))
    done = canary.step("rollback")
    assert done.returncode == 1
    assert "another:1" in done.stderr
    assert canary.image("model-server") == "another:1"


def test_a_new_canary_stands_beside_what_was_promoted(canary: Cluster) -> None:
    """The overlay still names the first image; nothing but make deploy brings that back."""
    canary.count(GOOD)
    assert canary.step("promote").returncode == 0
    assert canary.step("begin", "--image", "another:1").returncode == 0
    assert (canary.image("model-server"), canary.image("model-server-canary")) == (NEXT, "another:1")
    assert canary.step("rollback").returncode == 0
    assert canary.image("model-server") == NEXT


@pytest.fixture
def other_overlay(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes an overlay over kind."""

    def write(name: str, **more: object) -> Path:
        folder = tmp_path / "overlays" / name
        folder.mkdir(parents=True)
        resources = [os.path.relpath(KUBE_CONFIG / "overlays" / "kind", folder)]
        components = [os.path.relpath(KUBE_CONFIG / "components" / one, folder) for one in more.pop("components", ())]
        kustomization = {"resources": resources, "components": components, **more}
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return folder

    return write


def test_an_overlay_s_own_namespace_and_changes(cluster: Cluster, other_overlay) -> None:
    image = {"name": "brain-tumor-model-server-portable", "newName": "host/server", "newTag": "1"}
    cluster.overlay = other_overlay("own", namespace="team-a", images=[image])
    cluster.deploy()
    assert cluster.step("begin", "--image", "host/server:2").returncode == 0
    assert cluster.objects()[CANARY]["metadata"]["namespace"] == "team-a"
    assert (cluster.image("model-server"), cluster.image("model-server-canary")) == ("host/server:1", "host/server:2")


def test_a_container_beside_the_model_server(cluster: Cluster, other_overlay) -> None:
    sidecar = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "model-server"},
        "spec": {"template": {"spec": {"containers": [{"name": "logs", "image": "logs:1"}]}}},
    }
    target = {"kind": "Deployment", "name": "model-server"}
    cluster.overlay = other_overlay("own", patches=[{"target": target, "patch": json.dumps(sidecar)}])
    cluster.deploy()
    assert cluster.step("begin", "--image", NEXT).returncode == 0
    canary = cluster.objects()[CANARY]["spec"]["template"]["spec"]["containers"]
    assert {container["name"]: container["image"] for container in canary} == {"logs": "logs:1", "model-server": NEXT}
    cluster.count(GOOD)
    done = cluster.step("promote")
    assert done.returncode == 0, done.stderr
    stable = cluster.objects()["deployment/model-server"]["spec"]["template"]["spec"]["containers"]
    assert {container["name"]: container["image"] for container in stable} == {"logs": "logs:1", "model-server": NEXT}
    assert "  - name: brain-tumor-model-server-portable\n" in done.stdout


def test_an_object_of_another_namespace(cluster: Cluster, other_overlay, tmp_path: Path) -> None:
    more = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": "monitoring"}}
    cluster.overlay = other_overlay("own")
    (cluster.overlay / "more.yaml").write_text(json.dumps(more))
    path = cluster.overlay / "kustomization.yaml"
    kustomization = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**kustomization, "resources": [*kustomization["resources"], "more.yaml"]}))
    cluster.deploy()
    assert cluster.step("begin", "--image", NEXT).returncode == 0
    assert cluster.step("rollback").returncode == 0
    assert CANARY not in cluster.objects()


@pytest.mark.parametrize("step", [("promote",), ("rollback",), ("begin", "--share", "5")], ids=lambda step: step[0])
def test_the_overlay_of_the_canary_must_be_named(canary: Cluster, other_overlay, step: tuple[str, ...]) -> None:
    """Another one would be applied over it."""
    canary.overlay = other_overlay("own")
    canary.count(GOOD)
    before = canary.objects()
    done = canary.step(*step)
    assert done.returncode == 1
    assert "OVERLAY=kind" in done.stderr
    assert canary.objects() == before


def test_the_overlay_of_a_promotion_must_be_named(canary: Cluster, other_overlay) -> None:
    canary.count(GOOD)
    assert canary.step("promote").returncode == 0
    canary.overlay = other_overlay("own")
    assert "OVERLAY=kind" in canary.step("rollback").stderr
    assert canary.image("model-server") == NEXT


def test_an_overlay_that_has_the_canary_itself(cluster: Cluster, other_overlay) -> None:
    cluster.overlay = other_overlay("own", components=["canary"])
    done = cluster.step("begin", "--image", NEXT)
    assert done.returncode == 1
    assert "change it there" in done.stderr


@pytest.mark.parametrize("component", ["model-fetch", "model-volume", "model-image-volume"])
def test_a_model_that_is_not_in_the_container_image(cluster: Cluster, other_overlay, component: str) -> None:
    cluster.overlay = other_overlay("own", components=[component])
    cluster.deploy()
    done = cluster.step("begin", "--image", NEXT)
    assert done.returncode == 1
    assert "docs/canary.md" in done.stderr
    assert CANARY not in cluster.objects()


def test_an_overlay_that_is_not_there(cluster: Cluster) -> None:
    cluster.overlay = KUBE_CONFIG / "overlays" / "nope"
    done = cluster.step("report")
    assert done.returncode == 1
    assert "kustomization.yaml" in done.stderr


def test_without_kubectl(cluster: Cluster) -> None:
    cluster.environment["PATH"] = "/nowhere"
    done = cluster.step("report")
    assert done.returncode == 1
    assert "kubectl is needed" in done.stderr
