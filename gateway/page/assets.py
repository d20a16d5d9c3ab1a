"""The files of the page: read once, because the index is sent by the event loop, which must not wait for a disk."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

_FOLDER = Path(__file__).parent / "static"
# Not from the system's table, which differs from one container image to the next.
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """A file as the browser gets it.

    Attributes:
        body: Its bytes.
        media_type: What a Content-Type header says of it.
        etag: Names its content, without quotes.
    """

    body: bytes
    media_type: str
    etag: str


def read_assets(folder: Path = _FOLDER) -> Mapping[str, Asset]:
    """Read every file of a kind that the page has, by its path below the folder.

    Raises:
        OSError: The folder cannot be read.
    """
    assets = {
        path.relative_to(folder).as_posix(): _asset(path)
        for path in sorted(folder.rglob("*"))
        if path.suffix in _MEDIA_TYPES
    }
    return MappingProxyType(assets)


def _asset(path: Path) -> Asset:
    body = path.read_bytes()
    return Asset(body, _MEDIA_TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:32])
