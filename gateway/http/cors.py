"""Which other sites' pages may call the service from a browser, and what they may read of it (the Fetch standard)."""

from collections.abc import Collection, Mapping

from flask import Flask, Response, request

ANY = "*"
_MAX_AGE_SECONDS = 3600  # for which a browser need not ask again
_METHODS = "GET, POST"
_HEADERS = "Authorization, Content-Type, Inference-Header-Content-Length, X-Request-ID"
_READABLE = "Inference-Header-Content-Length, Retry-After, WWW-Authenticate, X-Request-ID"


def cors_headers(origins: Collection[str], origin: str) -> Mapping[str, str]:
    """The headers of a response that let a page of this origin read it; none if it may not.

    Args:
        origins: The origins that may, or ``ANY``.
        origin: What the request's header Origin says; empty without one.
    """
    if not origin or not (ANY in origins or origin in origins):
        return {}
    return {
        "Access-Control-Allow-Origin": ANY if ANY in origins else origin,
        "Access-Control-Expose-Headers": _READABLE,
    }


def register(app: Flask, origins: Collection[str]) -> None:
    """Let pages of these origins call the application; keys, not cookies, say who calls."""
    if not origins:
        return

    @app.after_request
    def allow(response: Response) -> Response:
        headers = cors_headers(origins, request.headers.get("Origin", ""))
        response.headers.update(headers)
        response.vary.add("Origin")
        if headers and request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response.headers["Access-Control-Allow-Methods"] = _METHODS
            response.headers["Access-Control-Allow-Headers"] = _HEADERS
            response.headers["Access-Control-Max-Age"] = str(_MAX_AGE_SECONDS)
        return response
