"""Archives in S3 buckets, as the images of a bucket are read: boto3 finds credentials and endpoint."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from brain_tumor_client.errors import ModelAway, ModelUnusable
from brain_tumor_client.model_fetch.remote import Rest, refuse
from brain_tumor_client.sources.bucket import SCHEME, Bucket, Prefix

_CHUNK = 64 * 1024  # bytes; a part of one is lost when the connection breaks
_CREDENTIALS = (
    "Check the bucket, AWS_REGION, and the credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role of "
    "the pod's ServiceAccount."
)


@dataclass(frozen=True)
class OverS3:
    """An object in a bucket."""

    bucket: Bucket
    key: str

    @classmethod
    def of(cls, url: str) -> "OverS3":
        """Read a URL, ``s3://bucket/key``.

        Raises:
            ValueError: It names no object.
        """
        place = Prefix.of(url)
        if not place.key:
            raise ValueError("write an object like s3://bucket/folder/archive.tar.gz")
        return cls(place.bucket, place.key)

    @property
    def shown(self) -> str:
        """Its URL."""
        return f"{SCHEME}{self.bucket.name}/{self.key}"

    @contextmanager
    def rest(self, start: int, etag: str) -> Iterator[Rest]:
        """See ``Remote``."""
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

        ranged = {"Range": f"bytes={start}-", "IfMatch": etag} if start else {}
        try:
            response = self.bucket.client.get_object(Bucket=self.bucket.name, Key=self.key, **ranged)
            body = response["Body"]
            with body:
                yield Rest(start, response["ETag"], body.iter_chunks(_CHUNK))
        except ClientError as error:
            refuse(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500), self.shown, _CREDENTIALS)
        except (ParamValidationError, ValueError):
            raise ModelUnusable(f"{self.shown} cannot be asked for. {_CREDENTIALS}") from None
        except BotoCoreError:
            raise ModelAway(f"{self.shown} is not reachable, or the connection was cut.") from None
