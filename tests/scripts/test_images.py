"""scripts/images calls a builder that works, with the right files, names and arguments, and a model it can send."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.processes import ROOT
from tests.scripts.old_tools import SHELLS


@pytest.fixture(params=SHELLS)
def shell(request) -> str:
    return SHELLS[request.param]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a model of the user's own."""
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "scripts", checkout / "scripts")
    for model in ("models/mine/1", "runs/mine/1"):
        (checkout / model).mkdir(parents=True)
        (checkout / model / "saved_model.pb").touch()
    (checkout / "models" / "empty").mkdir()
    return checkout


@pytest.fixture
def build(tmp_path: Path, checkout: Path, shell: str):
    """A function that runs the script with only these builders installed, some of which may not work."""
    tools = tmp_path / "tools"
    tools.mkdir()

    def run(*images: str, installed: tuple[str, ...] = ("docker",), broken: tuple[str, ...] = (), **settings: str):
        for name in installed:
            tool = tools / name
            # "info" or "version" asks whether the builder works. Every other call is printed.
            check = "exit 1" if name in broken else "exit 0"
            tool.write_text(f'#!/bin/sh\ncase $1 in info | version) {check} ;; esac\necho {name} "$@"\n')
            tool.chmod(0o755)
        for name in ("git", "dirname"):
            (tools / name).symlink_to(shutil.which(name))
        environment = {"PATH": str(tools), "TAG": "1.2.3", **settings}
        return subprocess.run(
            [shell, checkout / "scripts/images", *images], env=environment, capture_output=True, text=True, timeout=60
        )

    return run


def test_every_image(build):
    names = (
        "gateway",
        "model-server",
        "model-server-gpu",
        "model-server-portable",
        "client",
        "model",
        "e2e",
        "e2e-next",
    )
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
            "model-server/Dockerfile.model",
            "tests/e2e/image/Dockerfile",
            "tests/e2e/next/Dockerfile",
        ),
        strict=True,
    ):
        assert f"--file {file} " in call
        assert f"--tag host/path/brain-tumor-{name}:1.2.3 " in call
        assert (ROOT / file).is_file()
        assert ("MODEL=models/mine" in call) == name.startswith("model")
        assert ("VERSION=1.2.3" in call) != name.startswith("e2e")
        assert ("BASE=host/path/brain-tumor-model-server-portable:1.2.3" in call) == (name == "e2e-next")
        assert ("BASE=tensorflow/serving:2.20.0-gpu" in call) == (name == "model-server-gpu")
        assert call.endswith({"e2e": " tests/e2e/image", "e2e-next": " tests/e2e/next"}.get(name, " ."))


@pytest.mark.parametrize("model", ["./models/mine", "{checkout}/models/mine", "models/mine/"])
def test_a_model_s_folder_however_it_is_written(build, checkout, model):
    done = build("model-server", MODEL=model.format(checkout=checkout))
    assert "--build-arg MODEL=models/mine" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("model", "advice"),
    [
        ("runs/mine", "Copy the folder there"),  # .dockerignore keeps it from the builder
        ("/nowhere/mine", "Copy the folder there"),
        ("models/empty", "models/empty/1/saved_model.pb"),
        ("models/mine/1", "models/mine/1/1/saved_model.pb"),  # a version's folder in place of the model's
        ("models/other", "models/other/1/saved_model.pb"),
    ],
)
def test_a_model_that_cannot_be_sent_is_refused_before_anything_is_built(build, model, advice):
    done = build("gateway", "model-server", MODEL=model)
    assert done.returncode == 2
    assert advice in done.stderr
    assert not done.stdout


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


@pytest.mark.parametrize(
    ("image", "settings", "message"),
    [
        ("gatewy", {}, "gateway, model-server, model-server-gpu, model-server-portable, client and model"),
        ("gateway", {"BUILDER": "kaniko"}, "Choose one of: docker podman buildah"),
    ],
)
def test_what_does_not_exist(build, image, settings, message):
    done = build(image, **settings)
    assert done.returncode == 2
    assert message in done.stderr
