"""scripts/deploy applies an overlay as it is built, and waits in that overlay's namespace."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.kube_config.manifests import build, require
from tests.processes import ROOT

# It builds as kubectl does, and writes down what else it is asked and given.
KUBECTL = """#!/bin/sh
case "$1" in
kustomize) exec "$KUBECTL" "$@" ;;
get) [ -z "$FORBIDDEN" ] || exit 1; [ -z "$CLASS" ] || echo "ingressclass/$CLASS"; exit ;;
esac
echo "$@" >> "$CALLS"
[ "$1" != apply ] || cat > "$CALLS.applied"
case "$*" in *"$FAILS"*) exit 1 ;; esac
"""

Deploy = Callable[..., tuple[subprocess.CompletedProcess[str], list[str]]]


@pytest.fixture
def checkout(tmp_path) -> Path:
    for name in ("kube-config", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name)
    own = tmp_path / "kube-config" / "overlays" / "own"
    own.mkdir()
    own.joinpath("kustomization.yaml").write_text(yaml.safe_dump({"namespace": "team-a", "resources": ["../eks"]}))
    return tmp_path


@pytest.fixture
def deploy(checkout) -> Deploy:
    """A function that runs the script, and returns how it ended and what kubectl was asked to do."""
    tool, calls = checkout / "bin" / "kubectl", checkout / "calls"
    tool.parent.mkdir()
    tool.write_text(KUBECTL)
    tool.chmod(0o755)

    def run(overlay: str, **variables: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        environment = {"KUBECTL": require("kubectl"), "CALLS": str(calls), "FAILS": "nothing", **variables}
        for name in ("CLASS", "FORBIDDEN"):
            environment.setdefault(name, "")
        environment["PATH"] = f"{tool.parent}:/usr/bin:/bin"
        done = subprocess.run(
            [checkout / "scripts" / "deploy", overlay], env=environment, capture_output=True, text=True, timeout=60
        )
        return done, calls.read_text().splitlines() if calls.exists() else []

    return run


def rollouts(namespace: str) -> list[str]:
    return [
        f"--namespace {namespace} rollout status deployment/{tier} --timeout 300s"
        for tier in ("model-server", "gateway")
    ]


def test_it_applies_what_is_built_and_waits(deploy, checkout):
    done, calls = deploy("kind")
    assert done.returncode == 0, done.stderr
    assert calls == ["apply --filename -", *rollouts("brain-tumor")]
    applied = [manifest for manifest in yaml.safe_load_all((checkout / "calls.applied").read_text()) if manifest]
    assert applied == build(ROOT / "kube-config" / "overlays" / "kind")


def test_it_waits_in_the_overlay_s_own_namespace(deploy):
    done, calls = deploy("own", CLASS="brain-tumor")
    assert done.returncode == 0, done.stderr
    assert calls == ["apply --filename -", *rollouts("team-a")]


def test_a_cluster_that_lacks_what_the_overlay_needs_is_left_alone(deploy):
    done, calls = deploy("own")
    assert done.returncode == 1
    assert "kubectl apply --kustomize kube-config/clusters/eks" in done.stderr
    assert not calls


def test_who_may_not_read_the_cluster_s_classes_goes_on(deploy):
    done, calls = deploy("own", FORBIDDEN="yes")
    assert done.returncode == 0, done.stderr
    assert calls == ["apply --filename -", *rollouts("team-a")]


def test_a_tier_that_does_not_become_ready_is_a_failure(deploy):
    done, calls = deploy("kind", FAILS="deployment/model-server")
    assert done.returncode == 1
    assert len(calls) == 2


def test_an_overlay_that_is_not_there(deploy):
    done, calls = deploy("knd")
    assert done.returncode == 2
    assert "kube-config/overlays/knd" in done.stderr
    assert "kind" in done.stderr
    assert not calls
