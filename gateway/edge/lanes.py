"""Which way a request is run and what its key must be good for: the edge asks, and the application's routes say it."""

import re
from collections import defaultdict
from collections.abc import Mapping
from enum import Enum, auto
from typing import NamedTuple

_VARIABLE = re.compile(r"<(path:)?\w+>")  # a part of a rule that stands for any text, as Flask writes it


class Lane(Enum):
    """How a request is run."""

    AT_ONCE = auto()  # in the event loop: quick, and never waits for anything
    READINESS = auto()  # in threads of their own: waits a little for the model, and must not wait for anything else
    METRICS = auto()  # in threads of their own: must be there when much else is asked for
    OTHER = auto()  # in other threads
    WORK = auto()  # in one of many threads, with a slot


class Route(NamedTuple):
    """What the edge knows of a route.

    Attributes:
        rule: The route, as Flask writes it; for logs and metrics.
        lane: How its requests are run.
        scope: What a caller's key must be good for; None where nobody is asked for a key.
        admin_only: Whether it is at the port for probes and metrics, and at no other; all other routes are not there.
    """

    rule: str
    lane: Lane
    scope: str | None = None
    admin_only: bool = False


class Routes:
    """The routes of an application.

    Args:
        routes: By method, in capitals, and rule, such as ``("POST", "/models/<model>/infer")``.
        otherwise: What stands for a request that has none of them.
    """

    def __init__(self, routes: Mapping[tuple[str, str], Route], otherwise: Route) -> None:
        by_rule: dict[str, dict[str, Route]] = defaultdict(dict)
        for (method, rule), route in routes.items():
            by_rule[rule][method] = route
        self._exact = {rule: methods for rule, methods in by_rule.items() if "<" not in rule}
        self._patterns = [(_pattern(rule), methods) for rule, methods in by_rule.items() if "<" in rule]
        self._otherwise = otherwise

    def find(self, method: str, path: str) -> Route:
        """The route of a request.

        Args:
            method: In capitals. The application treats HEAD as GET.
            path: As WSGI has it. A slash at its end changes nothing.
        """
        methods = self._methods(path.rstrip("/") or "/")
        if route := methods.get("GET" if method == "HEAD" else method):
            return route
        # Of a path that only one port has, the other port does not even tell the methods.
        return self._otherwise._replace(admin_only=any(route.admin_only for route in methods.values()))

    def _methods(self, path: str) -> Mapping[str, Route]:
        if methods := self._exact.get(path):
            return methods
        return next((methods for pattern, methods in self._patterns if pattern.fullmatch(path)), {})


def _pattern(rule: str) -> re.Pattern[str]:
    text, start = "", 0
    for variable in _VARIABLE.finditer(rule):
        text += re.escape(rule[start : variable.start()]) + (".+" if variable[1] else "[^/]+")
        start = variable.end()
    return re.compile(text + re.escape(rule[start:]), re.DOTALL)
