"""Two small data sets that the tests of ``training.data`` share."""

from pathlib import Path

import pytest

from tests.training.scans import phantom, squares
from training.data.data_set import DataSet, find


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return squares(tmp_path / "scans")


@pytest.fixture(scope="session")
def patients(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """A phantom: 12 training patients a class, two images each."""
    return find(phantom(tmp_path_factory.mktemp("data") / "some", training=48, size=32))
