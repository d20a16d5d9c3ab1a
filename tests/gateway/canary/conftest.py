from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.gateway.fake_model_server import FakeModel, FakeModelServer, fake_model_server, metadata


@pytest.fixture
def canary_server() -> Iterator[FakeModelServer]:
    """A model server with version 2; the stable one has version 1."""
    with fake_model_server() as server:
        server.model = FakeModel(metadata(), version=2)
        yield server


@pytest.fixture
def share_file(tmp_path) -> Path:
    return tmp_path / "canary.toml"


@pytest.fixture
def with_canary(make_client, canary_server, share_file) -> Callable[..., FlaskClient]:
    """A function that makes a client of a gateway with a canary: with_canary(share=..., shadow=..., any setting)."""

    def make(share: float = 0, shadow: float = 0, **changes: object) -> FlaskClient:
        share_file.write_text(f"share = {share}\nshadow = {shadow}\n")
        return make_client(**{"canary_server": canary_server.address, "canary_file": share_file, **changes})

    return make
