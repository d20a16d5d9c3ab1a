"""Files in an S3 bucket, by boto3, which is installed only on demand. Its own settings say where S3 is, and as whom."""

import importlib.util
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar

from brain_tumor_client.errors import ImageAway, ImageUnusable, PlaceAway, PlaceUnreadable
from brain_tumor_client.images import image_bytes

SCHEME = "s3://"
_HEAD = 64 * 1024  # bytes that hold what is read of a DICOM file's header
_MAX_VOLUME = 2**30  # bytes of a volume that is brought to the disk
_PART = 1024 * 1024  # bytes
_CONNECT, _READ = 10, 60  # seconds
_ATTEMPTS = 5  # by boto3, with growing waits between them
_CONNECTIONS = 64
_MISSING = {"NoSuchKey", "404", "NotFound"}
_CREDENTIALS = "Check the name, and the credentials that boto3 finds, for example in AWS_ACCESS_KEY_ID."

Result = TypeVar("Result")


def is_available() -> bool:
    """Whether boto3 is installed."""
    return importlib.util.find_spec("boto3") is not None


class Bucket:
    """A bucket, and one client for all threads, as boto3 allows."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def client(self) -> Any:
        """boto3's client. Without credentials it asks as nobody: public buckets respond."""
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config

        session = boto3.Session()
        unsigned = {} if session.get_credentials() else {"signature_version": UNSIGNED}
        # S3 itself says where a bucket is, but boto3 wants some region to begin with.
        region = session.region_name or os.environ.get("AWS_REGION") or "us-east-1"
        config = Config(
            connect_timeout=_CONNECT,
            read_timeout=_READ,
            retries={"mode": "standard", "max_attempts": _ATTEMPTS},
            max_pool_connections=_CONNECTIONS,
            **unsigned,
        )
        return session.client("s3", region_name=region, config=config)


@dataclass(frozen=True)
class Prefix:
    """What ``s3://bucket/key`` names: one object, or all below it as in a folder."""

    bucket: Bucket
    key: str

    @classmethod
    def of(cls, url: str) -> Self:
        """Read a URL.

        Raises:
            ValueError: It names no bucket.
        """
        name, _, key = url.removeprefix(SCHEME).partition("/")
        if not url.startswith(SCHEME) or not name:
            raise ValueError("write a bucket like s3://bucket or s3://bucket/folder")
        return cls(Bucket(name), key.rstrip("/"))

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket.name}/{self.key}"

    def file(self) -> "InBucket | None":
        """The object that it names, if it names one.

        Raises:
            PlaceUnreadable: The bucket cannot be listed.
        """
        is_object = bool(self.key) and next(self._keys(self.key, 1), None) == self.key
        return InBucket(self.bucket, self.key) if is_object else None

    def files(self, at_a_time: int = 1000) -> Iterator["InBucket"]:
        """The objects below it, in the order of their keys. Hidden ones are left out, and those that stand for folders.

        Args:
            at_a_time: How many keys S3 sends in a response; 1000 at most.

        Raises:
            PlaceUnreadable: The bucket cannot be listed, or there is no object.
        """
        top = f"{self.key}/" if self.key else ""
        is_empty = True
        for key in self._keys(top, at_a_time):
            is_empty = False
            parts = key[len(top) :].split("/")
            if parts[-1] and not any(part.startswith(".") for part in parts):
                yield InBucket(self.bucket, key)
        if is_empty:
            raise PlaceUnreadable(f"There is nothing at {self}.")

    def _keys(self, start: str, at_a_time: int) -> Iterator[str]:
        paginator = self.bucket.client.get_paginator("list_objects_v2")
        of_page = {"PageSize": at_a_time}
        remaining = iter(paginator.paginate(Bucket=self.bucket.name, Prefix=start, PaginationConfig=of_page))
        while page := self._next(remaining):
            yield from (entry["Key"] for entry in page.get("Contents", []))

    def _next(self, pages: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

        try:
            return next(pages, None)
        except (ClientError, ParamValidationError) as error:
            if _is_temporary(error):
                raise PlaceAway(f"{self} cannot be listed: S3 is too busy.") from None
            raise PlaceUnreadable(f"{self} cannot be listed. {_CREDENTIALS}") from None
        except BotoCoreError:
            raise PlaceAway(f"{self} cannot be listed: S3 is not reachable.") from None


@dataclass(frozen=True)
class InBucket:
    """An object in a bucket."""

    bucket: Bucket
    key: str
    is_far = True
    is_file = True

    @property
    def name(self) -> str:
        """Its name, without its folder."""
        return self.key.rpartition("/")[2]

    @property
    def shown(self) -> str:
        """How it is called in the results."""
        return f"{SCHEME}{self.bucket.name}/{self.key}"

    @property
    def folder(self) -> str:
        """What it is in, as ``shown``."""
        return self.shown.rpartition("/")[0]

    def open(self) -> BinaryIO:
        """Open it for the reading of its beginning."""
        try:
            return io.BytesIO(self._read(lambda body: body.read(), Range=f"bytes=0-{_HEAD - 1}"))
        except ImageAway:
            raise
        except ImageUnusable as error:
            raise OSError(str(error)) from None

    def content(self, max_bytes: int) -> bytes:
        """All its bytes."""
        return image_bytes(self._read(lambda body: body.read(max_bytes + 1)), max_bytes)

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """A file on this disk with the same content."""
        with tempfile.TemporaryDirectory(prefix="brain-tumor-") as folder:
            path = Path(folder, "volume.nii.gz" if self.name.lower().endswith(".gz") else "volume.nii")
            self._read(lambda body: _save(body, path))
            yield path

    def _read(self, read: Callable[[Any], Result], **options: str) -> Result:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            body = self.bucket.client.get_object(Bucket=self.bucket.name, Key=self.key, **options)["Body"]
            with body:
                return read(body)
        except ClientError as error:
            if _is_temporary(error):
                raise ImageAway("S3 is too busy to send the file.") from None
            if error.response["Error"]["Code"] in _MISSING:
                raise ImageUnusable("There is no such file.") from None
            raise ImageUnusable("S3 does not send the file. Check that its bucket lets you read it.") from None
        except BotoCoreError:
            raise ImageAway("S3 is not reachable, or the connection was cut.") from None


def _save(body: Any, path: Path) -> None:
    size = 0
    try:
        with path.open("wb") as file:
            for part in body.iter_chunks(_PART):
                size += len(part)
                if size > _MAX_VOLUME:
                    raise ImageUnusable(f"The volume has more than {_MAX_VOLUME:,} bytes. Resample it.")
                file.write(part)
    except OSError as error:
        raise ImageUnusable(f"The volume cannot be brought to this disk: {error.strerror}.") from None


def _is_temporary(error: Any) -> bool:
    response = getattr(error, "response", {})
    return response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) in (408, 429, *range(500, 600))
