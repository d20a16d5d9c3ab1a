from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from brain_tumor_client.model_fetch.version import fetch, remote_of
from tests.client.model_fetch.archive_server import ArchiveServer, archive_server
from tests.client.model_fetch.archives import packed, sha256


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with archive_server(packed()) as server:
        yield server


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "brain-tumor" / "7"


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def fetch_from(out: Path, log: list[str]) -> Callable[..., None]:
    """A function that fetches from a URL without waiting between the attempts."""

    def fetch_now(url: str, archive: bytes, max_bytes: int = 2**21) -> None:
        fetch(remote_of(url), out, sha256(archive), max_bytes, log.append, sleep=lambda seconds: None)

    return fetch_now
