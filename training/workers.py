"""Processes that share the work on many images, and how many of them there should be."""

import multiprocessing
import signal
from multiprocessing.pool import Pool

from portable_model_server.engines.cpu import cpu_limit


def cores() -> int:
    """The number of CPUs that this process may use; a container's quota counts, as for the model server."""
    return cpu_limit()


def workers(count: int) -> Pool:
    """A pool of processes to use in a ``with``.

    They are spawned, so that every platform does the same, and ignore Ctrl-C, so that the parent alone handles it.
    """
    return multiprocessing.get_context("spawn").Pool(count, signal.signal, (signal.SIGINT, signal.SIG_IGN))
