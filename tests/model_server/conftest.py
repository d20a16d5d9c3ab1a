"""Base paths of models, written once."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.model_server import models


@pytest.fixture(scope="session")
def half_plus(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, float], Path]:
    """Puts a version folder in place at once, as the converter does: ``half_plus(base / "1", 2.0)``."""
    saved = tmp_path_factory.mktemp("half_plus")

    def put(version: Path, number: float) -> Path:
        source = saved / str(number)
        if not source.exists():
            models.save_half_plus(source, float(number))
        version.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, version.parent / f".{version.name}")
        return (version.parent / f".{version.name}").rename(version)

    return put


@pytest.fixture(scope="session")
def odd_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base path with version 1 of the odd model."""
    base = tmp_path_factory.mktemp("odd")
    models.save_odd(base / "1")
    return base
