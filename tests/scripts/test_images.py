"""scripts/images calls a builder that works, with the right files, names and arguments."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.processes import ROOT


@pytest.fixture
def build(tmp_path: Path):
    """A function that runs the script with only these builders installed, some of which may not work."""

    def run(*images: str, installed: tuple[str, ...] = ("docker",), broken: tuple[str, ...] = (), **settings: str):
        for name in installed:
            tool = tmp_path / name
            # "info" or "version" asks whether the builder works. Every other call is printed.
            check = "exit 1" if name in broken else "exit 0"
            tool.write_text(f'#!/bin/sh\ncase $1 in info | version) {check} ;; esac\necho {name} "$@"\n')
            tool.chmod(0o755)
        for name in ("bash", "git", "dirname"):
            (tmp_path / name).symlink_to(shutil.which(name))
        environment = {"PATH": str(tmp_path), "TAG": "1.2.3", **settings}
        return subprocess.run(
            ["bash", "scripts/images", *images], cwd=ROOT, env=environment, capture_output=True, text=True
        )

    return run


def test_every_image(build):
    names = ("gateway", "model-server", "model-server-gpu", "model-server-portable", "client", "e2e")
    done = build(*names, REGISTRY="host/path/", MODEL="models/mine")
    assert done.returncode == 0, done.stderr
    calls = [line for line in done.stdout.splitlines() if line.startswith("docker build")]
    for call, name, file in zip(
        calls,
        names,
        (
            "gateway/Dockerfile",
            "model-server/Dockerfile",
            "model-server/Dockerfile",
            "model-server/Dockerfile.portable",
            "client/Dockerfile",
            "tests/e2e/image/Dockerfile",
        ),
        strict=True,
    ):
        assert f"--file {file} " in call
        assert f"--tag host/path/brain-tumor-{name}:1.2.3 " in call
        assert (ROOT / file).is_file()
        assert ("MODEL=models/mine" in call) == name.startswith("model-server")
        assert ("VERSION=1.2.3" in call) == (name != "e2e")
        assert ("BASE=tensorflow/serving:2.20.0-gpu" in call) == (name == "model-server-gpu")
        assert call.endswith(" tests/e2e/image" if name == "e2e" else " .")


def test_a_builder_that_does_not_work_is_skipped(build):
    done = build("gateway", installed=("docker", "buildah"), broken=("docker",))
    assert "\nbuildah build " in done.stdout


def test_a_builder_and_its_options_can_be_chosen(build):
    done = build("gateway", installed=("docker", "podman"), BUILDER="podman", BUILD_OPTIONS="--pull-never --layers")
    assert "\npodman build --pull-never --layers --file" in done.stdout


@pytest.mark.parametrize("settings", [{}, {"BUILDER": "podman"}])
def test_without_a_builder(build, settings):
    done = build("gateway", installed=("docker",), broken=("docker",), **settings)
    assert done.returncode == 1
    assert "Install" in done.stderr


def test_an_image_that_does_not_exist(build):
    done = build("gatewy")
    assert done.returncode == 2
    assert "gateway, model-server, model-server-gpu, model-server-portable and client" in done.stderr
