"""All connections, and what they share: limits, the memory that their bodies take, and the end of all of them."""

import asyncio
import time
from email.utils import formatdate
from enum import Enum, auto
from typing import Protocol

from gateway.edge.handler import Handler
from gateway.edge.messages import BUSY, Problem, Refuse
from gateway.settings import Settings
from tracing.spans import NO_TRACING, Tracing

_QUIET_SECONDS = 2.0  # nothing comes for so long on a connection: a shutdown waits for it no longer
_LOOK_SECONDS = 0.05
_CONNECTION_BYTES = 20_000  # what a connection takes besides its body and response, about
_LINGERING = 10  # one in so many connections may be one more that waits only for its client to close
_SHORTEST_SILENCE = 0.001  # seconds


class Phase(Enum):
    """What a connection waits for."""

    IDLE = auto()  # the first byte of a request
    HEAD = auto()  # the rest of its headers
    BODY = auto()  # the rest of its body
    WORK = auto()  # its response
    WRITE = auto()  # the client, to take the response
    LINGER = auto()  # the client, to close; what it still sends is read and dropped (RFC 9112, 9.6)


class Member(Protocol):
    """A connection, as the crowd sees it.

    Attributes:
        phase: What it waits for.
        last_active: When the client last sent something; seconds of the loop's clock.
    """

    phase: Phase
    last_active: float

    def close(self) -> None:
        """Close without a word."""

    def abort(self) -> None:
        """End at once."""

    def drop(self) -> None:
        """Keep nothing of the body that arrives; respond after its end."""

    def refuse(self, problem: Problem) -> None:
        """Respond to a request that has not wholly arrived, and close."""


class Crowd:
    """The connections of one process.

    Where there is no room for all, the client goes that keeps most memory in silence, by bytes and seconds: a lazy one
    before a busy one, and a large body before a small one. It gets its response, status 503, if it has begun a request.

    Args:
        limits: The settings; the edge's limits are among them.
        handler: Makes the responses.
        refuse: Makes the responses to requests that never reach the handler.
        tracing: Ends when the last connection is gone.
    """

    def __init__(self, limits: Settings, handler: Handler, refuse: Refuse, tracing: Tracing = NO_TRACING) -> None:
        self.limits = limits
        self.handler = handler
        self.refuse = refuse
        self.tracing = tracing
        self.draining = False
        self.loop = asyncio.get_running_loop()
        self._held: dict[Member, int] = {}  # bytes of bodies and responses, by connection
        self._total = 0
        self._second, self._date = 0, ""

    def __len__(self) -> int:
        return len(self._held)

    def date(self) -> str:
        """The time now, as the header Date has it; made once a second."""
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True)
        return self._date

    def add(self, connection: Member) -> None:
        """Add a connection; others go if there are too many."""
        most = self.limits.max_connections
        if len(self._held) >= most:
            costliest = self._costliest(Phase.IDLE, Phase.HEAD, Phase.BODY) or self._costliest(Phase.WRITE)
            if costliest and costliest.phase in (Phase.HEAD, Phase.BODY):
                costliest.refuse(BUSY)  # and lingers
            elif costliest:
                self._end(costliest)
        if len(self._held) >= most + most // _LINGERING and (answered := self._costliest(Phase.LINGER)):
            self._end(answered)
        self._held[connection] = 0

    def remove(self, connection: Member) -> None:
        """Forget a connection that is gone."""
        self._total -= self._held.pop(connection, 0)

    def hold(self, connection: Member, size: int) -> None:
        """Count bytes that a connection keeps in memory; others, or this one, go if there are too many."""
        if connection not in self._held:  # on its way out
            return
        self._held[connection] += size
        self._total += size
        while self._total > self.limits.max_held:
            if not (costliest := self._costliest(Phase.BODY, Phase.WRITE, holding=True)):
                return
            if costliest.phase is Phase.BODY:
                costliest.drop()
            else:
                self._end(costliest)

    def release(self, connection: Member) -> None:
        """Count a connection's bytes no longer."""
        if connection in self._held:
            self._total -= self._held[connection]
            self._held[connection] = 0

    async def drain(self, seconds: float) -> None:
        """Let every request have its response, which is its connection's last, for at most so many seconds."""
        self.draining = True
        end = self.loop.time() + seconds
        while self._held and self.loop.time() < end:
            quiet_since = self.loop.time() - _QUIET_SECONDS
            for connection in list(self._held):
                if connection.phase in (Phase.IDLE, Phase.LINGER) and connection.last_active < quiet_since:
                    connection.close()
            await asyncio.sleep(_LOOK_SECONDS)
        for connection in list(self._held):
            if connection.phase in (Phase.HEAD, Phase.BODY):
                connection.refuse(BUSY)
        await asyncio.sleep(_LOOK_SECONDS)
        for connection in list(self._held):
            connection.abort()
        await asyncio.sleep(0)  # so that their work is told

    def _costliest(self, *phases: Phase, holding: bool = False) -> Member | None:
        """Of the connections in these phases, the one that keeps most for longest in silence.

        Args:
            phases: What the connection waits for.
            holding: Whether only the memory of bodies and responses counts.
        """
        now, own = self.loop.time(), 0 if holding else _CONNECTION_BYTES

        def cost(connection: Member) -> float:
            """Bytes times seconds."""
            return (now - connection.last_active + _SHORTEST_SILENCE) * (own + self._held[connection])

        candidates = (
            connection
            for connection, held in self._held.items()
            if connection.phase in phases and (held or not holding)
        )
        return max(candidates, key=cost, default=None)

    def _end(self, connection: Member) -> None:
        self.remove(connection)  # now, not when the loop comes to it: the next one must meet another
        if connection.phase is Phase.WRITE:
            connection.abort()
        else:
            connection.close()  # the client may not have read all of an earlier response yet
