"""Work that no client waits for: few threads of its own, and few jobs that wait."""

import logging
import threading
from collections import deque
from collections.abc import Callable

THREADS = 2
MOST_WAITING = 16  # jobs; a job that finds so many before it is dropped
IDLE_SECONDS = 1.0  # until a thread without work ends: in steady traffic none is started for each request
_log = logging.getLogger(__name__)


class ShadowThreads:
    """Runs jobs, the first that came first; safe to share between threads.

    Without shadow work there are no threads, and none keeps the process from ending.

    Args:
        threads: How many jobs run at a time, at most.
        most_waiting: How many wait, at most.
    """

    def __init__(self, threads: int = THREADS, most_waiting: int = MOST_WAITING) -> None:
        self._threads = threads
        self._most_waiting = most_waiting
        self._changed = threading.Condition()
        self._waiting: deque[Callable[[], object]] = deque()
        self._running = 0  # threads
        self._idle = 0  # of those

    def add(self, job: Callable[[], object]) -> bool:
        """Let a job be run; False if it is dropped, for too many wait. Does not wait."""
        with self._changed:
            if len(self._waiting) >= self._most_waiting:
                return False
            if self._idle > len(self._waiting):
                self._changed.notify()
            elif self._running < self._threads:
                try:
                    threading.Thread(target=self._work, name="shadow", daemon=True).start()
                except RuntimeError:  # the system has no thread to spare
                    return False
                self._running += 1
            self._waiting.append(job)
            return True

    def _work(self) -> None:
        while job := self._next():
            try:
                job()
            except Exception as error:
                _log.error("unexpected", exc_info=error)
            finally:
                del job  # and what it keeps, before the wait for the next one

    def _next(self) -> Callable[[], object] | None:
        """The next job; None if there is none for a while: then the thread ends."""
        with self._changed:
            if not self._waiting:
                self._idle += 1
                self._changed.wait(IDLE_SECONDS)
                self._idle -= 1
            if self._waiting:
                return self._waiting.popleft()
            self._running -= 1
            return None
