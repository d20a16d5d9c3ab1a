"""A model in a bucket of moto's S3 server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from brain_tumor_client.errors import ModelAway, ModelRefused, ModelUnusable
from brain_tumor_client.model_fetch.over_s3 import OverS3
from tests.client.model_fetch.archives import FILES, packed
from tests.client.model_fetch.cutting import cut_way
from tests.processes import free_port

ARCHIVE = packed()
URL = "s3://models/brain-tumor/7.tar.gz"

Fetch = Callable[..., None]


@pytest.fixture
def bucket(make_bucket: Callable[[str], Any]) -> Any:
    """The bucket ``models`` with an archive."""
    bucket = make_bucket("models")
    bucket.put_object(Key="brain-tumor/7.tar.gz", Body=ARCHIVE)
    return bucket


def test_a_broken_download_goes_on_where_it_was(bucket, s3: str, fetch_from: Fetch, out: Path, log, monkeypatch):
    with cut_way(s3, [400_000, 400_000]) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        fetch_from(URL, ARCHIVE)
    assert {name: (out / name).read_bytes() for name in FILES} == FILES
    first, second = (int(line.rpartition(" from byte ")[2].strip(".").replace(",", "")) for line in log)
    assert 300_000 < first <= 400_000  # less the headers, and a part of a chunk
    assert 300_000 < second - first <= 400_000


def test_an_archive_that_is_replaced_meanwhile(bucket, s3: str, fetch_from: Fetch, out: Path, monkeypatch) -> None:
    new = packed({**FILES, "saved_model.pb": b"another graph"})
    of = OverS3.rest

    def replaced(remote: OverS3, start: int, etag: str):
        if start:
            bucket.put_object(Key="brain-tumor/7.tar.gz", Body=new)
        return of(remote, start, etag)

    monkeypatch.setattr(OverS3, "rest", replaced)
    with cut_way(s3, [400_000]) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        fetch_from(URL, new)
    assert (out / "saved_model.pb").read_bytes() == b"another graph"


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("s3://models/brain-tumor/8.tar.gz", ModelUnusable, "nothing at s3://models/brain-tumor/8.tar.gz"),
        ("s3://nobodys/7.tar.gz", ModelUnusable, "nothing at"),
        ("s3://Not a name/7.tar.gz", ModelUnusable, "AWS_REGION"),
    ],
)
def test_what_is_not_there(bucket, fetch_from: Fetch, url, error, words) -> None:
    with pytest.raises(error, match=words):
        fetch_from(url, ARCHIVE)


def test_who_has_no_right(bucket, fetch_from: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(ModelRefused, match="AWS_ACCESS_KEY_ID"):
        fetch_from(URL, ARCHIVE)


def test_an_s3_that_is_away(s3_environment, fetch_from: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**s3_environment, "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{free_port()}"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("brain_tumor_client.sources.bucket._ATTEMPTS", 1)
    with pytest.raises(ModelAway, match="not reachable"):
        fetch_from(URL, ARCHIVE)


@pytest.mark.parametrize("url", ["s3://", "s3://models", "s3://models/"])
def test_a_bucket_is_no_archive(url: str) -> None:
    with pytest.raises(ValueError, match="s3://bucket"):
        OverS3.of(url)
