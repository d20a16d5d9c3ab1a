from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.command import Command
from tests.client.scripted_service import ScriptedService, scripted_service


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("BRAIN_TUMOR_URL", "BRAIN_TUMOR_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def service() -> Iterator[ScriptedService]:
    with scripted_service() as service:
        yield service


@pytest.fixture
def command(service: ScriptedService, tmp_path: Path) -> Command:
    """``brain-tumor`` in an empty folder, with the scripted service."""
    return Command(tmp_path, service.url)
