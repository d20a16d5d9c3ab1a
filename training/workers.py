"""Processes that share the work on many images."""

import multiprocessing
import signal
from multiprocessing.pool import Pool


def workers(count: int) -> Pool:
    """A pool of processes to use in a ``with``.

    They are spawned, so that every platform does the same, and ignore Ctrl-C, so that the parent alone handles it.
    """
    return multiprocessing.get_context("spawn").Pool(count, signal.signal, (signal.SIGINT, signal.SIG_IGN))
