"""Whether the model responds, asked once for all who want to know: probes, and whoever else calls /readyz."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from gateway.deadline import Deadline, DeadlineExceeded
from gateway.model.responses import ModelServerProblem, ModelTooSlow, ServedModel

_SECONDS = 0.8  # for one check; Kubernetes' default timeout of a probe is 1 s
FRESH = 0.5  # seconds for which a result holds
_USABLE = 5.0  # seconds for which it holds while the next check is under way
_POLL = 0.02  # seconds


class _Result(NamedTuple):
    moment: float  # monotonic seconds
    found: ServedModel | ModelServerProblem


class SharedCheck:
    """A check that many threads may ask for, without many calls, and without all of them waiting while it hangs.

    Args:
        ask: Asks the model server what its model is.
        fresh: Seconds for which a result holds.
    """

    def __init__(self, ask: Callable[[Deadline], ServedModel], fresh: float = FRESH) -> None:
        self._ask = ask
        self._fresh = fresh
        self._asking = threading.Lock()
        self._last: _Result | None = None

    def get(self) -> ServedModel:
        """The model that the server has, or had half a second ago, or before the check that is under way.

        Raises:
            ModelServerProblem: There was no usable response.
        """
        result = self._get(self._fresh) or self._share()
        if isinstance(result.found, ModelServerProblem):
            raise result.found.with_traceback(None)
        return result.found

    def _share(self) -> _Result:
        """The result of a check by this thread or by another one; of the last check, while another thread asks."""
        while not self._asking.acquire(blocking=False):
            if last := self._get(_USABLE):
                return last
            time.sleep(_POLL)
        try:
            return self._get(self._fresh) or self._check()
        finally:
            self._asking.release()

    def _get(self, max_age: float) -> _Result | None:
        last = self._last
        return last if last and time.monotonic() - last.moment < max_age else None

    def _check(self) -> _Result:
        found: ServedModel | ModelServerProblem
        try:
            found = self._ask(Deadline(_SECONDS))
        except ModelServerProblem as problem:
            found = problem
        except DeadlineExceeded:
            found = ModelTooSlow("DEADLINE_EXCEEDED", f"no response within {_SECONDS} s")
        self._last = _Result(time.monotonic(), found)
        return self._last
