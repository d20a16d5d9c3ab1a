"""Which model a request wants, as its headers or its path say."""

import re
from typing import Annotated

from flask import Request
from msgspec import Meta

from gateway.classify.choice import LABELS, Choice
from gateway.edge.messages import AFTER
from gateway.http.operations import Parameter
from gateway.images.sent import InvalidRequest

MODEL_VERSION, ROUTING_KEY = "X-Model-Version", "X-Routing-Key"
_PATTERN = f"(?:{'|'.join(LABELS)}|[0-9]{{1,18}})"
_WANTED = re.compile(_PATTERN)
PARAMETERS = (
    Parameter(
        MODEL_VERSION,
        "Which model responds: stable, canary, or the number of a version; a canary that fails is replaced by stable.",
        Annotated[str, Meta(pattern=f"^{_PATTERN}$")],
        "header",
    ),
    Parameter(
        ROUTING_KEY,
        "Requests with the same text get the same one of two models, while the shares of both stay.",
        str,
        "header",
    ),
)


def read_choice(request: Request, version: str | None = None) -> Choice:
    """Read which model a request wants.

    Args:
        request: The request.
        version: What its path calls the version: then no other one may respond, whatever the header says. None if the
            path has none.

    Raises:
        InvalidRequest: The header means nothing.
    """
    of_header = _wanted(request)  # which must mean something in any case
    wanted = of_header if version is None else version
    after = request.environ.get(AFTER)
    key = request.headers.get(ROUTING_KEY, "")
    if after is None:  # where there is no edge, nobody says when the client has its response
        return Choice(wanted, version is not None, key)
    return Choice(wanted, version is not None, key, after.append)


def _wanted(request: Request) -> str | None:
    text = request.headers.get(MODEL_VERSION)
    if text is None:
        return None
    if not _WANTED.fullmatch(text):
        raise InvalidRequest(f"The header {MODEL_VERSION} must be {', '.join(LABELS)} or the number of a version.")
    return text if text in LABELS else str(int(text))
