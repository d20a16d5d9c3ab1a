"""The head of a request: it decides, before the body comes, which route the request takes and whether it is refused."""

from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import h11


class Head(NamedTuple):
    """Method, target and headers of a request.

    Attributes:
        sent: As h11 read them.
        path: As WSGI has it (PEP 3333), below the root path: bytes as latin-1, unquoted, with one slash before it; the
            root path itself, without a slash at its end, is empty.
        query: As WSGI has it.
    """

    sent: h11.Request
    path: str
    query: str

    @property
    def method(self) -> str:
        """The method in capitals, as the application would read it."""
        return self.sent.method.decode("ascii").upper()


def read_head(sent: h11.Request, root_path: str = "") -> Head:
    """Take a request's target apart.

    Args:
        sent: Its target is a path with a query, or a whole URL (RFC 9112, 3.2).
        root_path: The path below which clients find the service; it is taken off, unless a proxy has done so.
    """
    quoted, _, query = sent.target.partition(b"?")
    if not quoted.startswith(b"/") and b"://" in quoted:
        quoted = b"/" + quoted.partition(b"://")[2].partition(b"/")[2]
    path = _one_slash(unquote_to_bytes(quoted).decode("latin-1"))
    if path == root_path:
        path = ""
    elif path.startswith(f"{root_path}/"):
        path = _one_slash(path.removeprefix(root_path))
    return Head(sent, path, query.decode("latin-1"))


def _one_slash(path: str) -> str:
    """The application sees slashes before a path as one, so nobody else may see more."""
    return "/" + path.lstrip("/")
