"""From a whole request to a whole response: which thread runs the application for it, and when."""

import asyncio
import math
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from wsgiref.types import WSGIApplication, WSGIEnvironment

from gateway.deadline import Deadline
from gateway.edge.admission import Overloaded, Slot
from gateway.edge.callers import Callers
from gateway.edge.head import Head
from gateway.edge.lanes import Lane, Route, Routes
from gateway.edge.messages import DEADLINE, NOT_FOUND, RECEIVED, SLOT, Problem, Request, Response, call
from gateway.edge.slots import Slots
from gateway.keys import Caller

_THREADS = 2  # of each lane but WORK
_MOST = {Lane.METRICS: 100, Lane.OTHER: 100}  # requests of a lane that wait or are run


class Handler:
    """Runs the application.

    Args:
        application: Flask's, or another WSGI application.
        routes: Say how each of its routes is run, and for whom.
        slots: Where requests wait for a slot.
        seconds: Time limit of one response, from the moment its request is there.
        callers: Who may call; None for anybody.
        root_path: The path below which clients find the application.
    """

    def __init__(
        self,
        application: WSGIApplication,
        routes: Routes,
        slots: Slots,
        seconds: float,
        callers: Callers | None = None,
        root_path: str = "",
    ) -> None:
        self._root_path = root_path
        self._application = application
        self._routes = routes
        self._callers = callers
        self._slots = slots
        self._seconds = seconds
        self._threads: dict[Lane, ThreadPoolExecutor] = {
            lane: ThreadPoolExecutor(
                slots.threads if lane is Lane.WORK else _THREADS, thread_name_prefix=lane.name.lower()
            )
            for lane in Lane
            if lane is not Lane.AT_ONCE
        }
        self._now: Counter[Lane] = Counter()  # requests of the lanes with a bound

    async def respond(self, request: Request, deadline: Deadline) -> Response:
        """Make the response; a cancelled call gives up its place in the queue.

        Args:
            request: The request.
            deadline: Of its response; to be cancelled when the client leaves.

        Raises:
            Overloaded: No slot will be free in time.
            ClientLeft: Nobody waits for the response.
        """
        environ = request.environ()
        environ["SCRIPT_NAME"] = self._root_path
        environ[RECEIVED] = time.perf_counter()
        lane = request.route.lane
        if lane is Lane.AT_ONCE:
            return call(self._application, environ)
        if lane is not Lane.WORK:
            return await self._run(lane, environ)
        environ[DEADLINE] = deadline
        environ[SLOT] = await self._enter(deadline, request.caller)
        # Not awaited with a chance of being cancelled: the thread gives the slot back.
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._threads[lane], self._work, environ))

    def deadline(self) -> Deadline:
        """The deadline of a response whose request is there now."""
        return Deadline(self._seconds)

    def admit(self, head: Head, at_admin: bool) -> tuple[Route, Caller | None] | Problem:
        """Find the route of a request, and who sends it.

        Args:
            head: Its headers; the body has not come yet.
            at_admin: Whether it came to the port for probes and metrics, where nobody is asked for a key.

        Returns:
            The route, and the caller, or None where nobody is asked for a key; or why the request is refused.
        """
        route = self._routes.find(head.method, head.path)
        if route.admin_only is not at_admin:
            return NOT_FOUND
        if self._callers is None or route.scope is None or at_admin:
            return route, None
        caller = self._callers.check(head.sent, route.scope, route.rule)
        return caller if isinstance(caller, Problem) else (route, caller)

    def close(self) -> None:
        """Let the threads end when their work is done, and look at the keys no more."""
        if self._callers:
            self._callers.close()
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, lane: Lane, environ: WSGIEnvironment) -> Response:
        if self._now[lane] >= _MOST.get(lane, math.inf):
            raise Overloaded(1)
        self._now[lane] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads[lane], call, self._application, environ
            )
        finally:
            self._now[lane] -= 1

    async def _enter(self, deadline: Deadline, caller: Caller | None) -> Slot:
        future = self._slots.work.enter(deadline, caller)
        if future.done():
            return future.result()
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            # The slot may have been given in this very moment.
            future.add_done_callback(_give_back)
            raise

    def _work(self, environ: WSGIEnvironment) -> Response:
        done = False
        try:
            response = call(self._application, environ)
            # A hanging model says nothing about the time that is usual when it is back.
            done = response.status < HTTPStatus.INTERNAL_SERVER_ERROR
            return response
        finally:
            environ[SLOT].release(usual=done)


def _give_back(future: Future[Slot]) -> None:
    if not future.cancelled() and future.exception() is None:
        future.result().release(usual=False)
