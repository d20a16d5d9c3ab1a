"""From a whole request to a whole response: which thread runs the application for it, and when."""

import asyncio
import time
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from wsgiref.types import WSGIApplication, WSGIEnvironment

import h11

from gateway.deadline import Deadline
from gateway.edge.admission import Overloaded, Slot
from gateway.edge.callers import Callers
from gateway.edge.lanes import Lane, Route, Routes
from gateway.edge.messages import DEADLINE, RECEIVED, SLOT, Problem, Request, Response, call, path_of
from gateway.edge.slots import Slots
from gateway.keys import Caller

_THREADS = 2  # of each lane but WORK
_MOST_OTHERS = 100  # requests of the lane OTHER that wait or are run


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
        self._workers = ThreadPoolExecutor(slots.threads, thread_name_prefix="work")
        self._readiness = ThreadPoolExecutor(_THREADS, thread_name_prefix="readiness")
        self._others = ThreadPoolExecutor(_THREADS, thread_name_prefix="other")
        self._others_now = 0

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
        lane = self._routes.find(environ["REQUEST_METHOD"], environ["PATH_INFO"]).lane
        if lane is Lane.AT_ONCE:
            return call(self._application, environ)
        loop = asyncio.get_running_loop()
        if lane is Lane.READINESS:
            return await loop.run_in_executor(self._readiness, call, self._application, environ)
        if lane is Lane.OTHER:
            return await self._run_other(environ)
        environ[DEADLINE] = deadline
        environ[SLOT] = await self._enter(deadline, request.caller)
        # Not awaited with a chance of being cancelled: the thread gives the slot back.
        return await asyncio.shield(loop.run_in_executor(self._workers, self._work, environ))

    def deadline(self) -> Deadline:
        """The deadline of a response whose request is there now."""
        return Deadline(self._seconds)

    def route(self, head: h11.Request) -> Route:
        """The route of a request."""
        return self._routes.find(head.method.decode("ascii").upper(), path_of(head))

    def check(self, head: h11.Request) -> Caller | Problem | None:
        """Find who sends a request; None where nobody is asked for a key, a problem where it may not be sent."""
        if self._callers is None:
            return None
        route = self.route(head)
        return self._callers.check(head, route.scope, route.rule) if route.scope else None

    def close(self) -> None:
        """Let the threads end when their work is done, and look at the keys no more."""
        if self._callers:
            self._callers.close()
        for threads in (self._workers, self._readiness, self._others):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _run_other(self, environ: WSGIEnvironment) -> Response:
        if self._others_now >= _MOST_OTHERS:
            raise Overloaded(1)
        self._others_now += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._others, call, self._application, environ)
        finally:
            self._others_now -= 1

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
        future.result().release()
