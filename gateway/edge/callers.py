"""Who sends a request, by its key, and whether that caller may send it now: decided by the headers, before the body."""

import math
from http import HTTPStatus

import h11

from gateway.edge.key_file import KeyFile
from gateway.edge.messages import Problem
from gateway.edge.rates import Rates
from gateway.keys import Caller

_REALM = 'Bearer realm="brain-tumor"'  # RFC 6750, 3
_SCHEME = "bearer"


class Callers:
    """The callers, and how much of their rates they have used.

    Args:
        keys: Their keys.
        rates: What they have left.
    """

    def __init__(self, keys: KeyFile, rates: Rates) -> None:
        self._keys = keys
        self._rates = rates
        self._rated = keys.callers  # whose rates are kept

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
        key = _key(head)
        if key is None:
            return _refusal(
                HTTPStatus.UNAUTHORIZED,
                "This service asks for a key. Send it in the header: Authorization: Bearer KEY.",
                route,
                _REALM,
            )
        caller = self._keys.find(key)
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
        if wait := self._take(caller):
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

    def _take(self, caller: Caller) -> float:
        if (callers := self._keys.callers) is not self._rated:
            self._rates.keep({caller.name for caller in callers.values()})
            self._rated = callers
        return self._rates.take(caller)


def _key(head: h11.Request) -> str | None:
    """The key in a request's headers; None where there is none, or more than one."""
    values = [value for name, value in head.headers if name == b"authorization"]
    if len(values) != 1:
        return None
    scheme, _, key = values[0].decode("latin-1").partition(" ")
    return key.strip(" ") if scheme.lower() == _SCHEME else None


def _refusal(status: HTTPStatus, detail: str, route: str, challenge: str, caller: str = "") -> Problem:
    return Problem(status, detail, route, caller=caller, headers=(("WWW-Authenticate", challenge),))
