"""Archives behind HTTPS, and in Google Cloud Storage, whose objects are read in the same way."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import httpx

from brain_tumor_client.errors import ModelAway, ModelChanged, ModelUnusable
from brain_tumor_client.model_fetch.remote import Rest, refuse

GOOGLE = "gs://"
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)  # seconds of silence
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_HEADER = "Give the header Authorization in MODEL_AUTHORIZATION, if the server asks for one."
_IDENTITY = "Let the pod's identity read the object: on GKE, its ServiceAccount by Workload Identity."
_TOKEN = "computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 - where a token is


@dataclass(frozen=True)
class OverHttp:
    """An archive behind a URL.

    Attributes:
        url: With ``https``, or ``http`` if there are no credentials.
        authorization: Gives the header Authorization, or nothing; asked before each request, since tokens expire.
        credentials: What gives the right to read it, as a sentence.
    """

    url: str
    authorization: Callable[[], str]
    credentials: str

    @classmethod
    def of(cls, url: str) -> "OverHttp":
        """Read a URL, of HTTP or of Google Cloud Storage (``gs://bucket/object``).

        Raises:
            ValueError: It is none.
        """
        if url.startswith(GOOGLE):
            bucket, _, name = url.removeprefix(GOOGLE).partition("/")
            if not bucket or not name:
                raise ValueError("write an object like gs://bucket/folder/archive.tar.gz")
            host = os.environ.get("STORAGE_EMULATOR_HOST") or "https://storage.googleapis.com"
            return cls(f"{host}/{quote(bucket, safe='')}/{quote(name)}", _google_token, _IDENTITY)
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("write a URL like https://host/archive.tar.gz")
        if parts.username or parts.password:
            raise ValueError("leave the password out of the URL, and give the header Authorization")
        return cls(url, lambda: os.environ.get("MODEL_AUTHORIZATION", ""), _HEADER)

    @property
    def shown(self) -> str:
        """The URL without its query, which may hold a signature."""
        return self.url.partition("?")[0].partition("#")[0]

    @contextmanager
    def rest(self, start: int, etag: str) -> Iterator[Rest]:
        """See ``Remote``. A server that does not know ranges sends all of it."""
        ranged = {"Range": f"bytes={start}-", "If-Range": etag} if start else {}
        headers = {"Accept-Encoding": "identity", **ranged, **self._authorized()}
        try:
            with (
                httpx.Client(timeout=_TIMEOUT, follow_redirects=True, max_redirects=5) as client,
                client.stream("GET", self.url, headers=headers) as response,
            ):
                yield self._rest(response, start, etag)
        except (httpx.TooManyRedirects, httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise ModelUnusable(f"{self.shown} leads to no archive. Check the address.") from None
        except httpx.TransportError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                message = f"The certificate of {self.shown} is not trusted. SSL_CERT_FILE may name your authority's."
                raise ModelUnusable(message) from None
            raise ModelAway(f"{self.shown} is not reachable, or the connection was cut.") from None

    def _authorized(self) -> dict[str, str]:
        header = self.authorization().strip()
        parts = urlsplit(self.url)
        if header and parts.scheme == "http" and parts.hostname not in _THIS_MACHINE:
            raise ModelUnusable("Credentials would travel unencrypted. Use https.")
        return {"Authorization": header} if header else {}

    def _rest(self, response: httpx.Response, start: int, etag: str) -> Rest:
        found = response.headers.get("ETag", "")
        strong = "" if found.startswith("W/") else found
        if response.status_code == 206:
            begins = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
            if not start or not begins or strong != etag:
                raise ModelChanged(f"{self.shown} was replaced during the download.")
        elif response.status_code == 200:
            start = 0
        else:
            refuse(response.status_code, self.shown, self.credentials)
        return Rest(start, strong, response.iter_raw())


def _google_token() -> str:
    """A token of the pod's identity; nothing where there is none, since public objects need none."""
    host = os.environ.get("GCE_METADATA_HOST") or "metadata.google.internal"
    flavor = {"Metadata-Flavor": "Google"}
    try:
        response = httpx.get(f"http://{host}/{_TOKEN}", headers=flavor, timeout=5.0, trust_env=False)
        if response.status_code == 200 and response.headers.get("Metadata-Flavor") == "Google":
            return f"Bearer {response.json()['access_token']}"
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        pass
    return ""
