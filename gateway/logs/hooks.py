"""What Python itself would print to stderr, bare and with the messages of exceptions, becomes records without them.

It prints warnings, and the exceptions that nobody catches: of a thread, of a destructor, of a callback of an event
loop, of the process.
"""

import asyncio
import logging
import sys
import threading
import warnings
from types import TracebackType
from typing import Any, TextIO

_log = logging.getLogger(__name__)


def install() -> None:
    """Take the place of Python's own hooks, for the whole process and those that it forks."""
    warnings.showwarning = log_warning
    sys.excepthook = log_end
    sys.unraisablehook = log_unraisable
    threading.excepthook = log_thread_end


def log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Log a warning's kind and place; its text may hold values of an image."""
    _log.warning("%s at %s:%d (text withheld)", category.__name__, filename, lineno)


def log_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log what ends the process."""
    _log.critical("the process ends", exc_info=(kind, error, trace))


def log_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Log an exception that Python ignores, as it does in a destructor: a client may cause it, so it is no error."""
    _log.warning("an exception was ignored", exc_info=_with_traceback(unraisable.exc_value, unraisable.exc_traceback))


def log_thread_end(args: threading.ExceptHookArgs) -> None:
    """Log what ends a thread."""
    if args.exc_type is not SystemExit:
        _log.error("a thread ended", exc_info=_with_traceback(args.exc_value, args.exc_traceback))


def log_loop_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an exception that reached the event loop; for ``loop.set_exception_handler``.

    The context's own text is left out: it holds the arguments of callbacks. A connection that breaks is no error.
    """
    error = context.get("exception")
    level = logging.DEBUG if isinstance(error, OSError) else logging.ERROR
    _log.log(level, "the event loop caught an exception", exc_info=error)


def _with_traceback(error: BaseException | None, trace: TracebackType | None) -> BaseException | None:
    return error and error.with_traceback(trace)
