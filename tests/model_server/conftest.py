"""Base paths of models, written once, and a server that starts slowly."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.model_server import models
from tests.model_server.server_process import ServerProcess


@pytest.fixture(scope="session")
def half_plus(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, float], Path]:
    """Puts a version folder in place in one step, as the converter does: ``half_plus(base / "1", 2.0)``."""
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


@pytest.fixture(scope="session")
def slow_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base path with version 1 of the slow model."""
    base = tmp_path_factory.mktemp("slow")
    models.save_slow(base / "1")
    return base


@pytest.fixture(scope="session")
def odd_server(tmp_path_factory: pytest.TempPathFactory, odd_base: Path) -> Iterator[ServerProcess]:
    """A server with the odd model. There is one for all tests, since TensorFlow takes seconds to start."""
    flags = ("--model_name=odd", f"--model_base_path={odd_base}", "--engine=tensorflow")
    flags += ("--rest_api_timeout_in_ms=1000", "--enable_serialization_as_tensor_content")
    flags += ("--rest_api_enable_cors_support",)
    with ServerProcess(tmp_path_factory.mktemp("odd_server") / "log", *flags) as server:
        yield server.ready()
