"""Who sends a request, by its key, and whether that caller may send it now: decided by the headers, before the body."""

import math
import time
from http import HTTPStatus

import h11

from gateway.edge.key_file import KeyFile
from gateway.edge.messages import Problem
from gateway.keys import Caller

_REALM = 'Bearer realm="brain-tumor"'  # RFC 6750, 3
_SCHEME = "bearer"
_MAX_CREDENTIALS = 512  # characters


class Callers:
    """The callers, and how much of their rates they have used.

    Args:
        keys: Their keys.
    """

    def __init__(self, keys: KeyFile) -> None:
        self._keys = keys
        self._rates: dict[str, tuple[float, float]] = {}  # by caller: requests that are left, and since when

    def check(self, head: h11.Request, scope: str, route: str) -> Caller | Problem:
        """Find who sends a request.

        Args:
            head: Its headers.
            scope: What the key must be good for.
            route: The route, for logs and metrics.

        Returns:
            The caller, or why the request is refused: 401 without a valid key, 403 with one that is not good for this
            (RFC 6750), 429 above the caller's rate (RFC 6585).
        """
        values = [value for name, value in head.headers if name == b"authorization"]
        scheme, _, key = (values[0] if len(values) == 1 else b"").decode("latin-1").partition(" ")
        if scheme.lower() != _SCHEME or len(key) > _MAX_CREDENTIALS:
            return _refusal(
                HTTPStatus.UNAUTHORIZED,
                "This service asks for a key. Send it in the header: Authorization: Bearer KEY.",
                route,
                _REALM,
            )
        caller = self._keys.find(key.strip())
        if caller is None:
            return _refusal(
                HTTPStatus.UNAUTHORIZED,
                "This key is not valid, or no longer. Ask the operator of this service for one.",
                route,
                f'{_REALM}, error="invalid_token"',
            )
        if scope not in caller.scopes:
            return _refusal(
                HTTPStatus.FORBIDDEN,
                f"This key is not good for this. Ask the operator for one with the scope {scope}.",
                route,
                f'{_REALM}, error="insufficient_scope", scope="{scope}"',
                caller.name,
            )
        if wait := self._wait(caller):
            return Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"This key is good for {caller.rate:g} requests a second. Try again later.",
                route,
                math.ceil(wait),
                caller=caller.name,
            )
        return caller

    def close(self) -> None:
        """Look at the keys no more."""
        self._keys.close()

    def _wait(self, caller: Caller) -> float:
        """Take one request from a caller's rate; if none is left, the seconds until there is one."""
        if math.isinf(caller.rate):
            return 0.0
        now = time.monotonic()
        left, since = self._rates.get(caller.name, (caller.burst, now))
        left = min(caller.burst, left + (now - since) * caller.rate)
        if left < 1:
            return (1 - left) / caller.rate
        self._rates[caller.name] = left - 1, now
        return 0.0


def _refusal(status: HTTPStatus, detail: str, route: str, challenge: str, caller: str = "") -> Problem:
    return Problem(status, detail, route, caller=caller, headers=(("WWW-Authenticate", challenge),))
