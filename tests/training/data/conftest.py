"""Two small data sets that the tests of ``training.data`` share."""

from pathlib import Path

import pytest
from PIL import Image

from tests.training.scans import phantom
from training.data.data_set import DataSet, find


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of grey squares, four images each in Training, two in Testing."""
    made = tmp_path / "scans"
    for split, count in (("Training", 4), ("Testing", 2)):
        for level, name in ((60, "dark"), (180, "bright")):
            (made / split / name).mkdir(parents=True)
            for index in range(count):
                Image.new("L", (20, 20), level + index).save(made / split / name / f"{index}.png")
    return made


@pytest.fixture(scope="session")
def patients(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """A phantom: 12 training patients a class, two images each."""
    return find(phantom(tmp_path_factory.mktemp("data") / "some", training=48, size=32))
