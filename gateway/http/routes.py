"""What the application's routes declare, for those who ask: OpenAPI, and the edge."""

from collections.abc import Iterator

from flask import Flask

from gateway.edge.lanes import Lane, Route, Routes
from gateway.edge.messages import UNREAD
from gateway.http.operations import Operation, operation_of

_METHODS = ("GET", "POST")  # HEAD and OPTIONS go without saying


def operations(app: Flask) -> Iterator[tuple[str, str, Operation]]:
    """Rule, method and declaration of each route that declares itself, in the order of registration."""
    for rule in app.url_map.iter_rules():
        operation = operation_of(app.view_functions[rule.endpoint])
        for method in _METHODS:
            if operation and method in (rule.methods or ()):
                yield rule.rule, method, operation


def described_operations(app: Flask) -> Iterator[tuple[str, str, Operation]]:
    """Of those, what there is for the programs of clients."""
    for rule, method, operation in operations(app):
        if operation.is_described and not operation.admin_only:
            yield rule, method, operation


def edge_routes(app: Flask) -> Routes:
    """What the edge must know of the routes."""
    routes = {
        (method, rule): Route(rule, operation.lane, operation.scope, operation.admin_only)
        for rule, method, operation in operations(app)
    }
    return Routes(routes, Route(UNREAD, Lane.OTHER))
