"""An entry under images: in an overlay changes a container image, or make deploy says that it does not."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kube_config.manifests import KUBE_CONFIG, OVERLAYS, build, container_of, require
from tests.processes import ROOT

PORTABLE = "brain-tumor-model-server-portable"


@pytest.fixture
def check(tmp_path: Path):
    """A function that runs the script on an overlay over another one, with these lines under images:."""
    require("kubectl")
    for folder in ("kube-config", "scripts"):
        shutil.copytree(ROOT / folder, tmp_path / folder)

    def run(images: str, over: str = "kind") -> subprocess.CompletedProcess:
        overlay = tmp_path / "kube-config" / "overlays" / "mine"
        overlay.mkdir()
        (overlay / "kustomization.yaml").write_text(
            f"resources: [../{over}]\nimages: # mine\n{images}\nlabels:\n  - pairs:\n      name: someone\n"
        )
        return subprocess.run(
            ["sh", "scripts/overlay-images", "kube-config/overlays/mine"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.mark.parametrize(
    ("over", "images"),
    [
        ("kind", f"  - name: {PORTABLE}\n    newTag: '2026-11-25'"),
        ("kind", f"- newTag: 2026-11-25 # today's\n  name: {PORTABLE}"),
        ("kind", f"  - {{name: {PORTABLE}, newName: host/mine, newTag: one}}"),
        ("kind", f"  - name: {PORTABLE}\n    digest: sha256:{'0' * 64}"),
        ("eks", "  - name: 111122223333.dkr.ecr.us-west-2.amazonaws.com/brain-tumor-model-server\n    newTag: mine"),
    ],
)
def test_an_entry_that_changes_an_image(check, over, images):
    done = check(images, over)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("over", "images"),
    [
        (
            "kind",
            "  - name: brain-tumor-model-server\n    newTag: 2026-11-25",
        ),  # the base's name: a component renamed it
        ("eks", "  - name: brain-tumor-gateway\n    newTag: two"),
        ("kind", f"  - name: brain-tumor-gateway\n    newTag: one\n  - name: {PORTABLE}e\n    newName: host/mine"),
    ],
)
def test_an_entry_that_changes_none_is_named_with_the_images_that_there_are(check, tmp_path, over, images):
    done = check(images, over)
    assert done.returncode == 1
    built = build(tmp_path / "kube-config" / "overlays" / "mine")
    assert container_of(built, "model-server")["image"] in done.stderr.splitlines()
    assert f"entry {images.splitlines()[-2].rpartition(' ')[2]} under" in done.stderr


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_our_own_overlays(overlay):
    require("kubectl")
    command = ["sh", "scripts/overlay-images", str(overlay.relative_to(ROOT))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_an_overlay_that_does_not_build():
    require("kubectl")
    done = subprocess.run(["sh", "scripts/overlay-images", str(KUBE_CONFIG)], cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode != 0
