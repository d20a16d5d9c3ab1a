"""The routes of the page: its files, and the model's metadata; and HTML for browsers where others get JSON."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from flask import Blueprint, Response, abort, redirect, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header
from werkzeug.wrappers import Response as BaseResponse

from gateway.edge.messages import BARE_ROOT
from gateway.http.documents import Document, respond
from gateway.http.errors import error_replies
from gateway.http.operations import JSON, Content, Operation, Reply, declared
from gateway.model.client import ModelClient
from gateway.model.responses import ModelServerProblem, ServedModel
from gateway.page.assets import Asset

_HTML = "text/html"
_MAX_ACCEPT = 1024  # characters of an Accept header that are read; browsers send about 140
# Nothing comes from elsewhere, goes elsewhere, or runs that is not a file of the page.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Cache-Control": "no-cache",  # asked again each time, and not sent again while the ETag is the same
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


class Pages:
    """HTML for browsers.

    Args:
        assets: The files of the page by path, as ``gateway.page.assets`` reads them.
    """

    def __init__(self, assets: Mapping[str, Asset]) -> None:
        self._assets = assets

    def negotiated(self, name: str, document: Callable[[], Document | dict[str, Any]]) -> BaseResponse:
        """Respond with a page where the client prefers HTML, and with the document as JSON to everybody else."""
        response: BaseResponse
        if not _wants_html():
            response = respond(document())
        elif request.environ.get(BARE_ROOT):  # the links of a page would lead elsewhere without a slash at its end
            response = redirect(f"{request.script_root}/", HTTPStatus.PERMANENT_REDIRECT)
        else:
            response = self.file(name)
        response.vary.add("Accept")
        return response

    def file(self, path: str) -> Response:
        """Respond with a file of the page; 304 if the client has it already, 404 if there is none."""
        asset = self._assets.get(path)
        if asset is None:
            abort(404)
        response = Response(asset.body, content_type=asset.media_type, headers=_HEADERS)
        response.set_etag(asset.etag)
        response.make_conditional(request)
        del response.headers["Date"]  # the edge gives each response its own
        return response


def _wants_html() -> bool:
    """Whether the client of this request prefers HTML to JSON. Browsers say so; ``*/*``, or nothing, is JSON."""
    accept = parse_accept_header(request.headers.get("Accept", "")[:_MAX_ACCEPT], MIMEAccept)
    return accept.best_match((JSON, _HTML)) == _HTML


def page_replies(meaning: str, *documents: Content) -> dict[int, Reply]:
    """The responses of a page for browsers, and of a document for everybody else, if there is one."""
    page = Content({"type": "string"}, _HTML)
    return {200: Reply(meaning, (*documents, page)), 304: Reply("For browsers: they have the page already.")}


def page_routes(pages: Pages, model_client: ModelClient) -> Blueprint:
    """Make the routes of the page's files and of the model's metadata."""
    routes = Blueprint("page", __name__)

    @routes.get("/static/<path:path>")
    @declared(Operation("A file of the page", "Service", {}, is_quiet=True, is_described=False))
    def static(path: str) -> Response:
        return pages.file(path)

    @routes.get("/docs")
    @declared(Operation("A page of this document", "Service", page_replies("For people.")))
    def docs() -> Response:
        return pages.file("docs.html")

    @routes.get("/model")
    @declared(
        Operation(
            "What the model says of itself",
            "Service",
            {
                **page_replies("Its metadata; for browsers a page.", Content({"type": "object"})),
                **error_replies((HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE)),
            },
        )
    )
    def model() -> BaseResponse:
        # The page itself is there while the model is away: it says so, and asks again.
        return pages.negotiated("model.html", lambda: _metadata(_served(model_client)))

    return routes


def _served(model_client: ModelClient) -> ServedModel:
    """The model that the model server has, or had when it last responded."""
    try:
        return model_client.check()
    except ModelServerProblem:
        if model_client.cached is None:
            raise
        return model_client.cached


def _metadata(model: ServedModel) -> dict[str, Any]:
    """What the model says of itself, under the name and version that the model server knows it by."""
    return {**msgspec.json.decode(model.metadata.to_json()), "name": model.name, "version": model.version}
