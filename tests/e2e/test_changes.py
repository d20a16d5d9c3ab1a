"""Pods that come and go while requests arrive: not one request may fail."""

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.e2e.kubectl import Kubectl, KubectlError, name_of
from tests.e2e.load import Load
from tests.e2e.stage import OVERLAYS, TIERS, Stage
from tests.processes import ROOT, wait_until

RATE = 40  # requests a second
AT_LEAST = 1000

Throughout = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def requests_throughout(endpoints, load: Load, stage: Stage, expected, report) -> Throughout:
    """A context during which requests arrive. At its end it checks that each got the right prediction."""

    @contextmanager
    def throughout(keepalive: bool = False):
        during = load.during(endpoints, rate=RATE, at_least=AT_LEAST, keepalive=keepalive)
        with stage.without_restarts(), during as outcome:
            yield
        report(str(outcome))
        assert len(outcome) >= AT_LEAST
        assert not outcome.failed
        assert not outcome.wrong(expected)

    return throughout


def replace_pods(kubectl: Kubectl, tier: str, replace: Callable[[], object]) -> None:
    """Call a function that replaces all pods of a tier, and wait until the last old pod has ended."""
    old = {name_of(pod) for pod in kubectl.pods(tier)}
    replace()
    kubectl.rolled_out(tier)
    for name in old:
        kubectl.gone(name)
    assert not old & {name_of(pod) for pod in kubectl.pods(tier)}


@pytest.mark.parametrize("tier", TIERS)
def test_rolling_update(tier, requests_throughout, kubectl):
    with requests_throughout():
        replace_pods(kubectl, tier, lambda: kubectl("rollout", "restart", f"deployment/{tier}"))


def test_rolling_update_under_clients_that_keep_their_connections(requests_throughout, kubectl):
    with requests_throughout(keepalive=True):
        replace_pods(kubectl, "gateway", lambda: kubectl("rollout", "restart", "deployment/gateway"))


def test_changed_setting(requests_throughout, stage, kubectl, tmp_path):
    shutil.copytree(ROOT / "kube-config", tmp_path / "kube-config")
    overlays = shutil.copytree(OVERLAYS, tmp_path / OVERLAYS.relative_to(ROOT))
    settings = tmp_path / "kube-config" / "base" / "gateway" / "settings.env"
    settings.write_text(settings.read_text() + "GATEWAY_DEADLINE_SECONDS=9\n")
    with requests_throughout():
        replace_pods(kubectl, "gateway", lambda: stage.apply(overlay=overlays / stage.overlay.name))
    pod = name_of(kubectl.pods("gateway")[0])
    assert "GATEWAY_DEADLINE_SECONDS=9" in kubectl("exec", pod, "--", "env")
    stage.apply()


@pytest.mark.parametrize("tier", TIERS)
def test_deleted_pod(tier, requests_throughout, kubectl, stage):
    with requests_throughout():
        pod = name_of(kubectl.pods(tier)[0])
        kubectl("delete", "pod", pod, "--wait=false")
        kubectl.gone(pod)
        stage.settle()


def test_eviction_of_each_pod_in_turn(requests_throughout, kubectl, stage):
    pods = [name_of(pod) for tier in TIERS for pod in kubectl.pods(tier)]
    with requests_throughout():
        for pod in pods:
            wait_until(lambda pod=pod: evict(kubectl, pod), f"eviction of {pod}", timeout=60)
            stage.settle()
        for pod in pods:
            kubectl.gone(pod)


def evict(kubectl: Kubectl, pod: str) -> bool:
    """Evict a pod. Returns False if its disruption budget does not allow it now."""
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": kubectl.namespace},
    }
    path = f"/api/v1/namespaces/{kubectl.namespace}/pods/{pod}/eviction"
    try:
        kubectl("create", "--raw", path, "--filename=-", given=json.dumps(eviction))
    except KubectlError as error:
        assert "disruption budget" in str(error)
        return False
    return True
