"""scripts/kind-up makes what is missing, keeps what exists, and first checks the tools that it needs."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.processes import ROOT

# Another cluster is listed after ours, and late: a reader that stops at ours would break the pipe.
KIND = """[ "$*" = "get clusters" ] || exit 0
[ -z "$BROKEN" ] || { echo "no Docker" >&2; exit 1; }
[ -z "$EXISTS" ] || echo brain-tumor
sleep 0.2
echo other"""
KUBECTL = """case "$*" in *"--output yaml"*) [ -z "$PATCHED" ] || echo --kubelet-insecure-tls ;; esac"""
TOOLS = {"kind": KIND, "kubectl": KUBECTL, "docker": ""}


@pytest.fixture
def kind_up(tmp_path: Path):
    """A function that runs the script with these tools, and returns their command lines in order."""

    def run(*tools: str, **settings: str) -> tuple[subprocess.CompletedProcess, list[str]]:
        calls = tmp_path / "calls"
        for name in tools:
            tool = tmp_path / name
            tool.write_text(f'#!/bin/sh\necho {name} "$@" >> "{calls}"\n{TOOLS[name]}\n')
            tool.chmod(0o755)
        for name in ("bash", "dirname", "env", "git", "grep", "sed", "sleep"):
            (tmp_path / name).symlink_to(shutil.which(name))
        environment = {"PATH": str(tmp_path), "TAG": "1.2.3", "BROKEN": "", "EXISTS": "", "PATCHED": "", **settings}
        done = subprocess.run([ROOT / "scripts/kind-up"], env=environment, capture_output=True, text=True)
        return done, calls.read_text().splitlines() if calls.exists() else []

    return run


def containing(calls: list[str], text: str) -> list[int]:
    return [number for number, call in enumerate(calls) if text in call]


def test_a_first_time(kind_up):
    done, calls = kind_up(*TOOLS)
    assert done.returncode == 0, done.stderr
    steps = [
        containing(calls, text)
        for text in (
            "kind create cluster --config kind-config.yaml",
            "kind load docker-image brain-tumor-gateway:1.2.3 --name brain-tumor",
            "kind load docker-image brain-tumor-model-server-portable:1.2.3 --name brain-tumor",
            "kubectl --context kind-brain-tumor apply",
            "--kubelet-insecure-tls",
            "rollout status deployment/metrics-server",
        )
    ]
    assert [len(step) for step in steps] == [1] * len(steps)
    assert steps == sorted(steps)
    assert len(containing(calls, "docker build")) == 2


def test_again(kind_up):
    done, calls = kind_up(*TOOLS, EXISTS="yes", PATCHED="yes")
    assert done.returncode == 0, done.stderr
    assert not containing(calls, "create cluster")
    assert not containing(calls, " patch ")
    # make deploy applies to the current context, which may be another cluster's.
    assert containing(calls, "kind export kubeconfig --name brain-tumor")
    assert len(containing(calls, "kind load docker-image")) == 2


def test_only_kubectl_of_the_kind_cluster(kind_up):
    _, calls = kind_up(*TOOLS)
    for call in calls:
        assert not call.startswith("kubectl") or call.startswith("kubectl --context kind-brain-tumor ")


@pytest.mark.parametrize("missing", ["kind", "kubectl"])
def test_without_a_tool(kind_up, missing):
    done, calls = kind_up(*(TOOLS.keys() - {missing}))
    assert done.returncode == 1
    assert f"needs {missing}" in done.stderr
    assert not calls


def test_without_docker(kind_up):
    done, calls = kind_up("kind", "kubectl", BROKEN="yes")
    assert done.returncode == 1
    assert "running Docker" in done.stderr
    assert calls == ["kind get clusters"]
