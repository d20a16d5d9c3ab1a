"""Log lines, plain or JSON, without anything that could identify a patient.

URLs, file names, addresses and the metadata of images would come into logs with the messages of exceptions, with
gunicorn's lines about bad requests, and with whatever a library logs. So a traceback is logged without messages,
gunicorn's lines without their details, and a library's record without its text. ``gateway.logs.hooks`` and
``gateway.logs.stderr`` do the same to what Python and C libraries print past the loggers.
"""

import json
import logging
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TypeAlias

from tracing.spans import current

# The id of the request that this thread works on; empty between requests. Not Flask's g: gunicorn's master logs
# without Flask.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
_ExceptionInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
# How gunicorn's and Flask's messages begin whose rest holds a client's address or text, or an exception's message.
_WITH_DETAILS = ("Invalid request from", "Error handling request", "Exception on", "Exception during worker exit")
# The loggers whose text is this project's own, with those below them; Flask's is called gateway.app. They alone follow
# the level that the operator sets.
_OWN = ("gateway", "brain_tumor", "serving_api", "tracing", "stderr")
_GUNICORN = "gunicorn.error"
# Pillow logs EXIF and TIFF tags, and some errors of an image as errors of the service; urllib3 logs hosts and paths.
_SILENT = ("PIL", "urllib3")
# Python's own sentences between two linked exceptions.
_CAUSE = "\n\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\n\nDuring handling of the above exception, another exception occurred:\n\n"


class PlainFormatter(logging.Formatter):
    """One line a record, and a traceback without messages."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Format the record, with the ids of the request and of its trace where there are any."""
        line = super().format(record)
        ids = " ".join(filter(None, (REQUEST_ID.get(), current().trace_id)))
        return f"{line} [{ids}]" if ids else line

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
        if trace_id := current().trace_id:
            document["trace_id"] = trace_id
        if record.exc_info and record.exc_info[1]:
            document["trace"] = _format_traceback(record.exc_info[1])
        return json.dumps(document, ensure_ascii=False)


class WithoutClientData(logging.Filter):
    """Cuts gunicorn's and Flask's messages about single requests short."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, some of them shortened."""
        for beginning in _WITH_DETAILS:
            if str(record.msg).startswith(beginning):
                record.msg, record.args = f"{beginning} (details withheld)", None
        return True


class WithoutLibraryText(logging.Filter):
    """Puts the place in a library's code where a record was made in place of the record's text.

    Nobody can vouch for what a library writes about an image or a connection. And what it calls an error may be a
    client's doing, so its records are warnings at most; what it means for the service, the gateway logs itself.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, those of libraries without their text."""
        if record.name != _GUNICORN and record.name.partition(".")[0] not in _OWN:
            record.msg, record.args = "%s:%d (text withheld)", (record.filename, record.lineno)
            if record.levelno > logging.WARNING:
                record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
        return True


def configuration(level: str, style: str) -> dict[str, Any]:
    """Make a configuration for ``logging.config.dictConfig``: everything to stderr, gunicorn's own lines too.

    Args:
        level: One of debug, info, warning and error. Libraries log warnings at most, whatever it is.
        style: One of plain and json.
    """
    of_libraries = "ERROR" if level == "error" else "WARNING"
    formatter = {"plain": PlainFormatter, "json": JsonFormatter}[style]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": formatter}},
        "filters": {
            "without_client_data": {"()": WithoutClientData},
            "without_library_text": {"()": WithoutLibraryText},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "lines",
                "filters": ["without_client_data", "without_library_text"],
            }
        },
        "root": {"level": of_libraries, "handlers": ["stderr"]},
        "loggers": {
            _GUNICORN: {"level": "INFO", "handlers": [], "propagate": True},
            **{name: {"level": level.upper()} for name in _OWN},
            **{name: {"level": logging.CRITICAL + 1} for name in _SILENT},
        },
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
