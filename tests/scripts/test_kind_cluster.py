"""scripts/kind-cluster makes what is missing, keeps what exists, and first checks all that it needs."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.processes import ROOT
from tests.scripts.old_tools import SHELLS

# Another cluster is listed too.
KIND = """[ "$*" = "get clusters" ] || exit 0
[ -z "$BROKEN" ] || { echo "no nodes" >&2; exit 1; }
[ -z "$EXISTS" ] || echo brain-tumor
echo other"""
KUBECTL = """case "$*" in
*"--output yaml"*) [ -z "$PATCHED" ] || echo --kubelet-insecure-tls ;;
*"get deployments"*) [ -z "$EXISTS" ] || printf 'mine gateway\\nmine model-server\\n' ;;
esac"""
ENGINE = '[ "$1 $STOPPED" != "info $(basename "$0")" ]'
TOOLS = {"kind": KIND, "kubectl": KUBECTL, "docker": ENGINE, "podman": ENGINE}


@pytest.fixture(params=SHELLS)
def kind_cluster(tmp_path: Path, request):
    """A function that runs the script with these tools, and returns their command lines in order."""
    checkout, installed, calls = tmp_path / "checkout", tmp_path / "tools", tmp_path / "calls"
    shutil.copytree(ROOT / "scripts", checkout / "scripts")
    shutil.copy(ROOT / "kind-config.yaml", checkout)
    (checkout / "models" / "mine" / "2").mkdir(parents=True)
    (checkout / "models" / "mine" / "2" / "saved_model.pb").touch()
    installed.mkdir()

    def run(*tools: str, do: str = "up", **settings: str) -> tuple[subprocess.CompletedProcess, list[str]]:
        for name in tools:
            tool = installed / name
            provider = "${KIND_EXPERIMENTAL_PROVIDER:+ in $KIND_EXPERIMENTAL_PROVIDER}" if name == "kind" else ""
            tool.write_text(f'#!/bin/sh\necho {name} "$@{provider}" >> "{calls}"\n{TOOLS[name]}\n')
            tool.chmod(0o755)
        for name in ("basename", "dirname", "git", "grep", "mktemp", "rm", "sed"):
            (installed / name).symlink_to(shutil.which(name))
        empty = {"BROKEN": "", "STOPPED": "", "EXISTS": "", "PATCHED": "", "TMPDIR": str(tmp_path)}
        command = [SHELLS[request.param], checkout / "scripts/kind-cluster", do]
        environment = {"PATH": str(installed), "TAG": "1.2.3", **empty, **settings}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert not list(tmp_path.glob("tmp*")), "an archive is left behind"
        return done, calls.read_text().splitlines() if calls.exists() else []

    return run


def containing(calls: list[str], text: str) -> list[int]:
    return [number for number, call in enumerate(calls) if text in call]


def test_a_first_time(kind_cluster):
    done, calls = kind_cluster(*TOOLS)
    assert done.returncode == 0, done.stderr
    steps = [
        containing(calls, text)
        for text in (
            "--tag docker.io/library/brain-tumor-gateway:1.2.3",
            "--tag docker.io/library/brain-tumor-model-server-portable:1.2.3",
            "kind create cluster --config kind-config.yaml",
            "docker.io/library/brain-tumor-gateway:1.2.3",
            "gateway.tar --name brain-tumor",
            "docker.io/library/brain-tumor-model-server-portable:1.2.3",
            "model-server-portable.tar --name brain-tumor",
            "kubectl --context kind-brain-tumor apply",
            "--kubelet-insecure-tls",
            "rollout status deployment/metrics-server",
        )
    ]
    last = [step[-1] for step in steps]
    assert last == sorted(set(last))
    assert len(containing(calls, "docker build")) == len(containing(calls, "docker save")) == 2
    assert len(containing(calls, "kind load image-archive ")) == 2
    assert not containing(calls, "rollout restart")
    assert not containing(calls, "podman")


def test_again(kind_cluster):
    done, calls = kind_cluster(*TOOLS, EXISTS="yes", PATCHED="yes")
    assert done.returncode == 0, done.stderr
    assert not containing(calls, "create cluster")
    assert not containing(calls, " patch ")
    # make deploy applies to the current context, which may be another cluster's.
    assert containing(calls, "kind export kubeconfig --name brain-tumor")
    (loaded,) = containing(calls, "kind load image-archive")[1:]
    # The container images' names are what they were, and so nothing else would replace what runs.
    for tier in ("gateway", "model-server"):
        (restart,) = containing(calls, f"--namespace mine rollout restart deployment/{tier}")
        assert restart > loaded


def test_a_model_of_one_s_own_is_shipped(kind_cluster):
    done, calls = kind_cluster(*TOOLS, MODEL="models/mine")
    assert done.returncode == 0, done.stderr
    (number,) = containing(calls, "--build-arg MODEL=models/mine ")
    assert "brain-tumor-model-server-portable" in calls[number]


def test_a_model_that_cannot_be_shipped_is_refused_before_the_cluster_is_made(kind_cluster):
    done, calls = kind_cluster(*TOOLS, MODEL="runs/mine")
    assert done.returncode == 2
    assert "MODEL_FOLDER=runs/mine" in done.stderr
    assert not containing(calls, "create")
    assert not containing(calls, "build")


@pytest.mark.parametrize(
    "settings",
    [{"STOPPED": "docker"}, {"KIND_EXPERIMENTAL_PROVIDER": "podman"}, {"BUILDER": "podman"}],
    ids=lambda settings: next(iter(settings)),
)
def test_podman(kind_cluster, settings):
    """kind itself takes Docker wherever its command is installed, so it is told."""
    done, calls = kind_cluster(*TOOLS, **settings)
    assert done.returncode == 0, done.stderr
    assert len(containing(calls, "podman build")) == len(containing(calls, "podman save")) == 2
    assert not containing(calls, "docker build")
    of_kind = [call for call in calls if call.startswith("kind ")]
    assert of_kind
    assert all(call.endswith(" in podman") for call in of_kind)


@pytest.mark.parametrize(("settings", "end"), [({}, "brain-tumor"), ({"STOPPED": "docker"}, "brain-tumor in podman")])
def test_down(kind_cluster, settings, end):
    done, calls = kind_cluster("kind", "docker", "podman", do="down", **settings)
    assert done.returncode == 0, done.stderr
    assert [call for call in calls if call.startswith("kind ")] == [f"kind delete cluster --name {end}"]


def test_only_kubectl_of_the_kind_cluster(kind_cluster):
    _, calls = kind_cluster(*TOOLS, EXISTS="yes")
    for call in calls:
        assert not call.startswith("kubectl") or call.startswith("kubectl --context kind-brain-tumor ")


@pytest.mark.parametrize("missing", ["kind", "kubectl"])
def test_without_a_tool(kind_cluster, missing):
    done, calls = kind_cluster(*(TOOLS.keys() - {missing}))
    assert done.returncode == 1
    assert f"needs {missing}" in done.stderr
    assert not calls


@pytest.mark.parametrize(
    ("tools", "settings", "status", "message"),
    [
        (("docker",), {"STOPPED": "docker"}, 1, "docker podman"),
        (("docker",), {"KIND_EXPERIMENTAL_PROVIDER": "podman"}, 1, "podman"),
        (("docker",), {"BUILDER": "buildah"}, 2, "buildah cannot be used here"),
        (("docker",), {"BROKEN": "yes"}, 1, "kind get clusters"),
    ],
)
def test_where_no_nodes_can_run_nothing_is_made(kind_cluster, tools, settings, status, message):
    done, calls = kind_cluster("kind", "kubectl", *tools, **settings)
    assert done.returncode == status
    assert message in done.stderr
    assert not containing(calls, "create")
    assert not containing(calls, "build")
