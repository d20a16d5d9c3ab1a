"""Log lines, plain or JSON, without anything that could identify a patient.

URLs, file names and addresses would come into logs with the messages of exceptions, and with gunicorn's lines about
bad requests. So a traceback is logged without messages, and gunicorn's lines without their details.
"""

import json
import logging
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TypeAlias

# The id of the request that this thread works on; empty between requests. Not Flask's g: gunicorn's master logs
# without Flask.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
_ExceptionInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
# How gunicorn's messages about single requests begin; what follows holds the client's address or text.
_ABOUT_REQUESTS = ("Invalid request from", "Error handling request")
# Python's own sentences between two linked exceptions.
_CAUSE = "\n\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\n\nDuring handling of the above exception, another exception occurred:\n\n"


class PlainFormatter(logging.Formatter):
    """One line a record, and a traceback without messages."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Format the record, with the request's id where there is one."""
        line = super().format(record)
        request_id = REQUEST_ID.get()
        return f"{line} [{request_id}]" if request_id else line

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802 - logging's name
        """Format the exception and its causes, without their messages."""
        return _format_traceback(ei[1])


class JsonFormatter(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Format the record as JSON."""
        document: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := REQUEST_ID.get():
            document["request_id"] = request_id
        if record.exc_info and record.exc_info[1]:
            document["trace"] = _format_traceback(record.exc_info[1])
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
    """Make a configuration for ``logging.config.dictConfig``: everything to stderr, gunicorn's own lines too.

    Args:
        level: One of debug, info, warning and error.
        style: One of plain and json.
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


def _format_traceback(error: BaseException | None) -> str:
    """Format as Python does, the first exception first, with the kind of each exception in place of its message."""
    text = ""
    link = ""
    while error is not None:
        frames = "".join(traceback.format_tb(error.__traceback__))
        text = f"Traceback (most recent call last):\n{frames}{type(error).__qualname__}{link}{text}"
        if error.__cause__ is not None:
            error, link = error.__cause__, _CAUSE
        else:
            error, link = None if error.__suppress_context__ else error.__context__, _CONTEXT
    return text
