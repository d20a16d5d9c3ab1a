"""SIGINT and SIGTERM end the work by KeyboardInterrupt; TensorFlow's native code may lose it, so it is remembered.

An exception that is raised while native code calls Python may come out as another one, or not at all.
"""

import signal

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
    raise KeyboardInterrupt
