"""One client's connection: whole requests in, whole responses out, and a time limit for whatever is waited for."""

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Callable, Iterable
from http import HTTPStatus

import h11

from gateway.deadline import ClientLeft, Deadline
from gateway.edge.admission import Overloaded
from gateway.edge.crowd import Crowd, Phase
from gateway.edge.incoming import MAX_HEAD_BYTES, Incoming, look_at_head, malformed
from gateway.edge.messages import BUSY, Problem, Request, Response

_log = logging.getLogger(__name__)

# Of a next request that comes before the response to the one before it: reading stops until that is sent.
_MAX_AHEAD_BYTES = 64 << 10
_WORK_MARGIN = 5.0  # seconds above the deadline of a response: whoever makes it looks at the deadline itself
_EVENTS_AT_ONCE = 64  # of one client, before others have their turn
_RESET = struct.pack("ii", 1, 0)  # struct linger of socket(7): close without waiting for what was not taken


class Connection(asyncio.Protocol):
    """The server's side of one HTTP/1.1 connection.

    Args:
        crowd: All connections, with their limits and what they share.
        is_admin: Whether it came to the port for probes and metrics.
    """

    def __init__(self, crowd: Crowd, is_admin: bool = False) -> None:
        self._crowd = crowd
        self._is_admin = is_admin
        self._loop = crowd.loop
        self._limits = crowd.limits
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._timer: asyncio.TimerHandle | None = None
        self._opened = self._loop.time()
        self._ahead = 0  # bytes that came in while a response was being made
        self._incoming = Incoming(self._limits.max_body, self._limits.root_path)
        self._ended = False  # the client sends nothing any more
        self._closing = False  # the response that is being sent is the last one
        self._deadline: Deadline | None = None
        self._task: asyncio.Task[None] | None = None
        self._after: Iterable[Callable[[], object]] = ()  # what is to be done once the client has the response
        self.phase = Phase.IDLE
        self.last_active = self._opened  # when the client last sent something; seconds of the loop's clock

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a socket's
        self._transport = transport
        # What the client does not take at once is seen as waiting for it.
        transport.set_write_buffer_limits(high=0)
        self._crowd.add(self)
        self._limit(self._limits.header_timeout, self.close)

    def data_received(self, data: bytes) -> None:
        """Take in what the client sent."""
        self.last_active = self._loop.time()
        if self._closing:
            return
        if self.phase is Phase.IDLE and not (data := data.lstrip(b"\r\n")):  # RFC 9112, 2.2
            return
        self._parser.receive_data(data)
        if self.phase in (Phase.WORK, Phase.WRITE):
            self._count_ahead(len(data))
        else:
            self._advance()

    def eof_received(self) -> bool:
        """The client sends no more; a client that does so before its response is there is taken for one that left."""
        if self.phase in (Phase.HEAD, Phase.BODY) and not self._closing:
            self._ended = True
            self._parser.receive_data(b"")
            self._advance()  # to the response that says what is missing
            return True
        self._leave()
        return False

    def resume_writing(self) -> None:
        """The client has taken everything."""
        if self.phase is Phase.WRITE:
            self._written()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._limit(None)
        self._leave()
        self._crowd.remove(self)

    # What the crowd calls.

    def close(self) -> None:
        """Close without a word: no request is under way."""
        self._transport.close()

    def abort(self) -> None:
        """End the connection at once; the kernel keeps nothing of it either."""
        peer: socket.socket = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def drop(self) -> None:
        """Keep nothing of the body that arrives; its response, status 503, comes after its end.

        An earlier one would meet a client, or a proxy, that is still sending, and some of them then miss it.
        """
        self._incoming.drop()
        self._crowd.release(self)

    def refuse(self, problem: Problem) -> None:
        """Respond to a request that has not wholly arrived, as the last response of this connection."""
        self._incoming.drop()
        self._crowd.release(self)
        self._send(self._crowd.refuse(problem, self._incoming.head), last=True)

    # From bytes to requests.

    def _advance(self) -> None:
        """Go on with what was received, until more is needed or a request is whole."""
        if self.phase is Phase.IDLE:
            self.phase = Phase.HEAD
            self._limit(self._limits.header_timeout, self._head_late)
        if self.phase is Phase.HEAD and (problem := look_at_head(self._parser.trailing_data[0])):
            self.refuse(problem)
            return
        for _ in range(_EVENTS_AT_ONCE):
            try:
                event = self._parser.next_event()
            except h11.RemoteProtocolError as error:
                self.refuse(malformed(error))
                return
            if isinstance(event, h11.Request):
                if not self._begin(event):
                    return
            elif isinstance(event, h11.Data):
                if not self._take_in(event.data):
                    return
            elif isinstance(event, h11.EndOfMessage):
                self._complete()
                return
            elif event is h11.NEED_DATA:
                return
            else:  # the client closes between two requests, or wants another protocol
                self.close()
                return
        # Others have their turn before the rest.
        self._transport.pause_reading()
        self._loop.call_soon(self._advance_further)

    def _advance_further(self) -> None:
        if self.phase is Phase.BODY and not self._transport.is_closing():
            self._transport.resume_reading()
            self._advance()

    def _begin(self, head: h11.Request) -> bool:
        """Look at a request's headers; return whether its body is wanted."""
        if problem := self._incoming.begin(head) or self._admit():
            self.refuse(problem)
            return False
        self.phase = Phase.BODY
        self._limit(self._limits.upload_timeout, self._body_late)
        if self._parser.they_are_waiting_for_100_continue:
            self._transport.write(self._parser.send(h11.InformationalResponse(status_code=100, headers=[])))
        return True

    def _admit(self) -> Problem | None:
        """Find the request's route and who sends it; return why it is refused, if it is."""
        assert self._incoming.head is not None  # noqa: S101 - it has begun
        admitted = self._crowd.handler.admit(self._incoming.head, self._is_admin)
        if isinstance(admitted, Problem):
            return admitted
        self._incoming.route, self._incoming.caller = admitted
        return None

    def _take_in(self, data: bytes) -> bool:
        """Take a part of a body; return whether more is wanted."""
        if problem := self._incoming.add(data):
            self.refuse(problem)
        elif self._incoming.keeps_body:
            self._crowd.hold(self, len(data))
        return not self._closing

    def _complete(self) -> None:
        """Hand a whole request over, and wait for its response."""
        if self._incoming.dropped:
            self._send(self._crowd.refuse(BUSY, self._incoming.head), self._is_old())
            return
        self.phase = Phase.WORK
        self._limit(self._limits.deadline + _WORK_MARGIN, self._work_late)
        self._deadline = self._crowd.handler.deadline()
        self._task = self._loop.create_task(self._respond(self._incoming.request(), self._deadline))
        self._incoming.drop()
        self._count_ahead(len(self._parser.trailing_data[0]))

    async def _respond(self, request: Request, deadline: Deadline) -> None:
        try:
            response = await self._crowd.handler.respond(request, deadline)
        except ClientLeft:
            return
        except Overloaded as overloaded:
            problem = BUSY._replace(
                route=request.route.rule,
                retry_after=overloaded.retry_after,
                caller=request.caller.name if request.caller else "",
            )
            response = self._crowd.refuse(problem, request.head)
        except Exception as error:
            _log.error("unexpected", exc_info=error)
            response = self._crowd.refuse(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, None), request.head)
        if self.phase is not Phase.WORK or self._transport.is_closing():
            return
        try:
            self._send(response, self._is_old())
        except Exception as error:  # a response that cannot be sent
            _log.error("unexpected", exc_info=error)
            self.abort()

    def _is_old(self) -> bool:
        """Whether the client must connect anew after the response."""
        return self._crowd.draining or self._loop.time() - self._opened > self._limits.connection_age

    def _head_late(self) -> None:
        self._refuse_late("headers", self._limits.header_timeout)

    def _body_late(self) -> None:
        if self._incoming.dropped:
            self.refuse(BUSY)
        else:
            self._refuse_late("request", self._limits.upload_timeout)

    def _refuse_late(self, what: str, seconds: float) -> None:
        self.refuse(Problem(HTTPStatus.REQUEST_TIMEOUT, f"The {what} did not arrive within {seconds:g} s."))

    def _work_late(self) -> None:
        self._leave()
        self.refuse(
            Problem(
                HTTPStatus.GATEWAY_TIMEOUT,
                "The response was not ready in time. Try again.",
                reason="deadline_exceeded",
            )
        )

    def _count_ahead(self, size: int) -> None:
        """Count bytes that came before the response to the request before them; read no more if they are many."""
        self._ahead += size
        if size:
            self._crowd.hold(self, size)
        if self._ahead > _MAX_AHEAD_BYTES:
            self._transport.pause_reading()

    # From responses to bytes.

    def _send(self, response: Response, last: bool) -> None:
        headers = [*response.headers, ("Date", self._crowd.date())]
        if last:
            headers.append(("Connection", "close"))
        data = self._parser.send(
            h11.Response(
                status_code=response.status, headers=headers, reason=HTTPStatus(response.status).phrase.encode("ascii")
            )
        )
        assert data is not None  # noqa: S101 - only a ConnectionClosed gives none
        if self._incoming.head is None or self._incoming.head.method != "HEAD":
            data += self._parser.send(h11.Data(data=response.body)) or b""
        data += self._parser.send(h11.EndOfMessage()) or b""
        self._closing = last or self._parser.our_state is not h11.DONE
        self._after = response.after
        self.phase = Phase.WRITE
        if not last:
            self.last_active = self._loop.time()
        self._transport.write(data)
        if self._transport.get_write_buffer_size() == 0:
            self._written()
            return
        self._limit(self._limits.write_timeout, self.abort)
        self._crowd.release(self)  # the request's bytes are gone
        self._crowd.hold(self, len(data))
        if not self._closing:
            self._transport.pause_reading()

    def _written(self) -> None:
        self._crowd.release(self)
        after, self._after = self._after, ()
        for do in after:
            try:
                do()
            except Exception as error:
                _log.error("unexpected", exc_info=error)
        if self._closing and self._ended:
            self.close()
            return
        if self._closing:
            self.phase = Phase.LINGER
            self._limit(self._limits.linger_timeout, self.close)
            self._transport.resume_reading()
            with contextlib.suppress(OSError):  # the client has reset the connection
                self._transport.write_eof()
            return
        self._parser.start_next_cycle()
        self._incoming = Incoming(self._limits.max_body, self._limits.root_path)
        self._ahead = 0
        self.phase = Phase.IDLE
        self._limit(self._limits.idle_timeout, self.close)
        self._transport.resume_reading()
        if self._parser.trailing_data[0]:
            # Not at once: a client that sends a thousand requests ahead must neither hold up the others nor nest calls.
            self._loop.call_soon(self._advance_to_next)

    def _advance_to_next(self) -> None:
        if self.phase is Phase.IDLE and self._parser.trailing_data[0] and not self._transport.is_closing():
            self._advance()

    def _leave(self) -> None:
        """Let go of work that nobody waits for."""
        if self.phase is Phase.WORK and self._deadline and self._task:
            self._deadline.cancel()
            self._task.cancel()

    def _limit(self, seconds: float | None, then: Callable[[], object] | None = None) -> None:
        """Wait at most this long from now on, and then do that."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None and then is not None:
            self._timer = self._loop.call_later(seconds, then)
