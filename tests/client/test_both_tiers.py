"""The client and a real gateway, as processes, before a model server whose model is known."""

import csv
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from brain_tumor_client import Client, ImageRefused, Model, Prediction
from tests import processes
from tests.brain_tumor import images
from tests.client.command import Command
from tests.client.sources.dicom_files import PATIENT, write_dicom
from tests.gateway.fake_model_server import CLASSES, fake_model_server

COLOURS = {"glioma": images.GLIOMA, "meningioma": images.MENINGIOMA, "notumor": images.NOTUMOR}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[processes.Server]:
    log = tmp_path_factory.mktemp("gateway") / "log"
    with fake_model_server() as model_server, processes.gateway(log, model_server.port) as gateway:
        yield gateway


@pytest.fixture
def at_gateway(gateway: processes.Server, tmp_path: Path) -> Command:
    return Command(tmp_path, gateway.url)


def test_the_python_api(gateway: processes.Server) -> None:
    with Client(gateway.url) as client:
        for name, image in COLOURS.items():
            prediction = client.classify(image)
            assert prediction.class_name == name
            assert tuple(prediction.probabilities) == CLASSES
            assert prediction.explanation is None
        explained = client.classify(images.GLIOMA, explain=True, view=True)
        assert explained.view is not None
        assert explained.view.startswith(b"\x89PNG")
        assert explained.explanation is not None
        assert explained.explanation.class_name == "glioma"
        assert explained.explanation.png.startswith(b"\x89PNG")
        red = np.zeros((40, 50, 3), np.uint8)
        red[..., 0] = 200
        assert client.classify(red).class_name == "glioma"
        assert client.model() == Model(
            explained.model_name, explained.model_version, explained.notice, client.model().service_version
        )
        good, bad = client.classify_many([images.NOTUMOR, b"words"])
        assert isinstance(good, Prediction)
        assert isinstance(bad, ImageRefused)
        assert bad.problem.status == 415


def test_a_dicom_file(gateway: processes.Server, tmp_path: Path) -> None:
    write_dicom(tmp_path / "many.dcm", "1.2.3.4", frames=5)
    with Client(gateway.url) as client:
        middle, second = (client.classify(tmp_path / "many.dcm", frame=frame) for frame in (None, 2))
    assert middle.dicom is not None
    assert second.dicom is not None
    assert (middle.dicom.modality, middle.dicom.frame, middle.dicom.frames) == ("MR", 3, 5)
    assert second.dicom.frame == 2
    assert second.dicom.window is not None


def test_the_command(at_gateway: Command, gateway: processes.Server) -> None:
    folder = at_gateway.folder / "secret name"
    folder.mkdir()
    for name, image in COLOURS.items():
        (folder / f"{name}.png").write_bytes(image)
    (folder / "broken.png").write_bytes(images.truncated("PNG"))
    for step in range(3):
        write_dicom(folder / f"IM{step}", "1.2.3.4", (0, 0, step), number=step)
    done = at_gateway.run("classify", "secret name", "--out", "r.csv", "--overlays", "maps")
    assert done.returncode == 1, done.stderr
    rows = {Path(row["path"]).name: row for row in at_gateway.rows("r.csv")}
    assert list(rows) == ["broken.png", *(f"{name}.png" for name in sorted(COLOURS)), "IM0", "IM1", "IM2"]
    assert all(rows[f"{name}.png"]["class"] == name for name in COLOURS)
    assert rows["broken.png"]["error_status"] == "400"
    with (at_gateway.folder / "r.volumes.csv").open(newline="") as file:
        (summary,) = csv.DictReader(file)
    assert (summary["volume"], summary["images"]) == ("secret name (series 1)", "3")
    assert (at_gateway.folder / "maps" / "secret name" / "glioma.png.png").read_bytes().startswith(b"\x89PNG")
    log = gateway.log.read_text()
    assert "/predict" in log
    assert "secret" not in log
    assert PATIENT not in log


def test_a_tiff_with_several_pages(at_gateway: Command) -> None:
    (at_gateway.folder / "stack.tif").write_bytes(images.stack(10, 90, 200))
    assert at_gateway.run("classify", "stack.tif", "--out", "r.csv").returncode == 0
    (row,) = at_gateway.rows("r.csv")
    assert row["warnings"] == "This is page 1 of 3 of the file. --every-frame classifies all."
    assert at_gateway.run("classify", "stack.tif", "--out", "all.csv", "--every-frame").returncode == 0
    assert [(row["frame"], row["warnings"]) for row in at_gateway.rows("all.csv")] == [("1", ""), ("2", ""), ("3", "")]


def test_a_gateway_that_asks_for_keys_below_a_path(tmp_path: Path) -> None:
    key = "a-key-of-this-test"
    (tmp_path / "keys.toml").write_text(f'[test]\nsha256 = ["{sha256(key.encode()).hexdigest()}"]\nrate = 2\n')
    settings = {"GATEWAY_KEYS_FILE": str(tmp_path / "keys.toml"), "GATEWAY_ROOT_PATH": "/below"}
    with (
        fake_model_server() as model_server,
        processes.gateway(tmp_path / "log", model_server.port, **settings) as gateway,
    ):
        command = Command(tmp_path, f"{gateway.url}/below")
        (tmp_path / "scans").mkdir()
        for number in range(5):
            (tmp_path / "scans" / f"{number}.png").write_bytes(images.GLIOMA)
        without = command.run("classify", "scans", "--out", "r.csv")
        assert without.returncode == 4, without.stderr
        # More requests than the rate allows: the gateway says when to come again, and all images are classified.
        done = command.run("classify", "scans", "--out", "r.csv", BRAIN_TUMOR_API_KEY=key)
        assert done.returncode == 0, done.stderr
        assert [row["class"] for row in command.rows("r.csv")] == ["glioma"] * 5
        assert " 429 " in (tmp_path / "log").read_text()
