"""Probes and metrics on a port of their own: what is for the cluster is not there for clients, and the reverse."""

from flask import Flask, abort, request

from gateway.edge.messages import ADMIN
from gateway.http.operations import operation_of


def register(app: Flask) -> None:
    """Let each of the two ports have its own routes only."""

    @app.before_request
    def separate() -> None:
        view = app.view_functions[request.endpoint] if request.endpoint else None
        operation = operation_of(view) if view else None
        if bool(operation and operation.is_admin) is not bool(request.environ.get(ADMIN)):
            abort(404)
