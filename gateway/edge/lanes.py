"""Which way a request is run and what its key must be good for: the edge asks, and the application's routes say it."""

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import NamedTuple

_VARIABLE = re.compile(r"<\w+>")  # a part of a rule that stands for any text, as Flask writes it


class Lane(Enum):
    """How a request is run."""

    AT_ONCE = auto()  # in the event loop: quick, and never waits for anything
    READINESS = auto()  # in threads of their own: waits a little for the model, and must not wait for anything else
    OTHER = auto()  # in other threads
    WORK = auto()  # in one of many threads, with a slot


class Route(NamedTuple):
    """What the edge knows of a route.

    Attributes:
        rule: The route, as Flask writes it; for logs and metrics.
        lane: How its requests are run.
        scope: What a caller's key must be good for; None where nobody is asked for a key.
    """

    rule: str
    lane: Lane
    scope: str | None = None


class Routes:
    """The routes of an application.

    Args:
        routes: By method, in capitals, and rule, such as ``("POST", "/models/<model>/infer")``.
        otherwise: What stands for a request that has none of them.
    """

    def __init__(self, routes: Mapping[tuple[str, str], Route], otherwise: Route) -> None:
        self._exact = {key: route for key, route in routes.items() if "<" not in key[1]}
        self._patterns = [
            (method, re.compile("[^/]+".join(map(re.escape, _VARIABLE.split(rule)))), route)
            for (method, rule), route in routes.items()
            if "<" in rule
        ]
        self._otherwise = otherwise

    def find(self, method: str, path: str) -> Route:
        """The route of a request.

        Args:
            method: In capitals. The application treats HEAD as GET.
            path: As WSGI has it. A slash at its end changes nothing.
        """
        method, path = "GET" if method == "HEAD" else method, path.rstrip("/") or "/"
        if route := self._exact.get((method, path)):
            return route
        for of_method, pattern, route in self._patterns:
            if method == of_method and pattern.fullmatch(path):
                return route
        return self._otherwise
