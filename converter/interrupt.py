"""SIGINT and SIGTERM end the work by KeyboardInterrupt; TensorFlow's native code may lose it, so it is remembered.

An exception that is raised while native code calls Python may come out as another one, or not at all, and its trace be
printed on the way. So from the signal on ``sys.stderr`` leads nowhere; the last word goes to ``sys.__stderr__``.
"""

import os
import signal
import sys

_received = False


def install() -> None:
    """Let SIGTERM, as Ctrl-C, raise KeyboardInterrupt. For the process's main thread."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _receive)


def check() -> None:
    """Raise what may have been lost.

    Raises:
        KeyboardInterrupt: A signal has come.
    """
    if _received:
        raise KeyboardInterrupt


def _receive(number: int, frame: object) -> None:
    global _received
    _received = True
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    raise KeyboardInterrupt
