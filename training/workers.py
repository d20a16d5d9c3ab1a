"""Processes that share the work on many images, and how many of them there should be."""

import multiprocessing
import os
import signal
from multiprocessing.pool import Pool


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers(count: int) -> Pool:
    """A pool to use in a ``with``. Spawned, so that every platform does the same; the parent alone answers Ctrl-C."""
    return multiprocessing.get_context("spawn").Pool(count, signal.signal, (signal.SIGINT, signal.SIG_IGN))
