import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
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


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of moto's server."""
    from moto.server import ThreadedMotoServer  # which takes a second, and most tests do without

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    logger = logging.getLogger("werkzeug")  # to which its server gives a level and a handler, once and for all
    level, handlers = logger.level, logger.handlers[:]
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    logger.setLevel(level)
    logger.handlers[:] = handlers


@pytest.fixture
def s3_environment(s3: str, tmp_path: Path) -> dict[str, str]:
    """Access keys and the server's URL, and no files of the developer's own."""
    return {
        "AWS_ENDPOINT_URL_S3": s3,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "something",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture
def make_bucket(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """A function that makes an S3 bucket, as a pod with access keys finds it; it is removed afterwards."""
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    with ExitStack() as stack:

        def make(name: str) -> Any:
            bucket = boto3.resource("s3", region_name="us-east-1").Bucket(name)
            bucket.create()
            stack.callback(bucket.delete)
            stack.callback(lambda: bucket.objects.all().delete())
            return bucket

        yield make
