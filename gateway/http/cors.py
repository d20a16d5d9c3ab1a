"""Which other sites' pages may call the service from a browser, and what they may read of it (the Fetch standard)."""

from collections.abc import Collection, Mapping

from flask import Flask, Response, request

ANY = "*"
_MAX_AGE_SECONDS = 3600  # for which a browser need not ask again
_METHODS = "GET, POST"
_HEADERS = (
    "Authorization, Content-Encoding, Content-Type, Inference-Header-Content-Length, Traceparent, Tracestate, "
    "X-Model-Version, X-Request-ID, X-Routing-Key"
)
_VARY = {"Vary": "Origin"}  # or a cache would give one site's response to another's page
_READABLE = "Inference-Header-Content-Length, Retry-After, WWW-Authenticate, X-Request-ID"


def cors_headers(origins: Collection[str], origin: str) -> Mapping[str, str]:
    """The headers of a response that let a page of this origin read it, if it may.

    Args:
        origins: The origins that may, or ``ANY``; empty where no other site's page may.
        origin: What the request's header Origin says; empty without one.
    """
    if not origins:
        return {}
    if not origin or not (ANY in origins or origin in origins):
        return _VARY
    return {
        **_VARY,
        "Access-Control-Allow-Origin": ANY if ANY in origins else origin,
        "Access-Control-Expose-Headers": _READABLE,
    }


def register(app: Flask, origins: Collection[str]) -> None:
    """Let pages of these origins call the application; keys, not cookies, say who calls."""

    @app.after_request
    def allow(response: Response) -> Response:
        headers = cors_headers(origins, request.headers.get("Origin", ""))
        response.headers.extend(headers)  # another Vary may be there
        is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if is_preflight and "Access-Control-Allow-Origin" in headers:
            response.headers["Access-Control-Allow-Methods"] = _METHODS
            response.headers["Access-Control-Allow-Headers"] = _HEADERS
            response.headers["Access-Control-Max-Age"] = str(_MAX_AGE_SECONDS)
        return response
