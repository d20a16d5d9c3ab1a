"""Log lines, plain or JSON, without anything that could identify a patient.

URLs, file names and addresses come into logs with exceptions' messages and with gunicorn's complaints about bad
requests. So a trace is logged as places and kinds, without messages, and gunicorn's complaints without their details.
"""

import json
import logging
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TypeAlias

# Of the request that this thread answers; empty between requests. Not Flask's g: gunicorn's master logs without Flask.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
_ExceptionInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
# How gunicorn's messages about single requests begin; what follows holds the client's address or text.
_ABOUT_REQUESTS = ("Invalid request from", "Error handling request")


class PlainFormatter(logging.Formatter):
    """One line a record, and a trace without messages."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The record, with the request's id where there is one."""
        line = super().format(record)
        request_id = REQUEST_ID.get()
        return f"{line} [{request_id}]" if request_id else line

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802 - logging's name
        """The places and the kinds of an exception and of its causes."""
        return _trace(ei[1])


class JsonFormatter(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        document: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := REQUEST_ID.get():
            document["request_id"] = request_id
        if record.exc_info and record.exc_info[1]:
            document["trace"] = _trace(record.exc_info[1])
        return json.dumps(document, ensure_ascii=False)


class WithoutClientData(logging.Filter):
    """Cuts gunicorn's messages about single requests short."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, some of them shortened."""
        for beginning in _ABOUT_REQUESTS:
            if str(record.msg).startswith(beginning):
                record.msg, record.args = f"{beginning} (details withheld)", None
        return True


def configuration(level: str, style: str) -> dict[str, Any]:
    """A configuration for ``logging.config.dictConfig``: everything to stderr, gunicorn's own lines too.

    Args:
        level: debug, info, warning or error.
        style: plain or json.
    """
    formatter = {"plain": PlainFormatter, "json": JsonFormatter}[style]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": formatter}},
        "filters": {"without_client_data": {"()": WithoutClientData}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "lines",
                "filters": ["without_client_data"],
            }
        },
        "root": {"level": level.upper(), "handlers": ["stderr"]},
        "loggers": {"gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True}},
    }


def _trace(error: BaseException | None) -> str:
    lines: list[str] = []
    while error is not None:
        frames = "".join(traceback.format_tb(error.__traceback__))
        lines.insert(0, f"Traceback (most recent call last):\n{frames}{type(error).__qualname__}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nled to\n".join(lines)
