"""Polite clients and probes, and a tally of what they get."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.edge import uploads
from benchmarks.edge.connection import Connection, NoResponse, Response, connect

NO_RESPONSE = "no response"
_TIMEOUT = 15.0  # seconds; longer than the gateway's own deadline
_PROBE_INTERVAL = 0.05  # seconds


@dataclass
class Tally:
    """What became of requests.

    Attributes:
        outcomes: How many had each status, or no response.
        seconds: By outcome, how long each took.
        losses: Why there was no response, and how often.
        flaws: What was wrong with responses, and how often.
    """

    outcomes: Counter[int | str] = field(default_factory=Counter)
    seconds: dict[int | str, list[float]] = field(default_factory=dict)
    losses: Counter[str] = field(default_factory=Counter)
    flaws: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: int | str, seconds: float) -> None:
        self.outcomes[outcome] += 1
        self.seconds.setdefault(outcome, []).append(seconds)

    def check(self, response: Response) -> None:
        """Note what a client could not use."""
        if response.status == 503 and b"retry-after" not in response.headers:
            self.flaws["503 without Retry-After"] += 1
        if response.status >= 400 and not response.headers.get(b"content-type", b"").startswith(
            b"application/problem+json"
        ):
            self.flaws[f"{response.status} that is no problem JSON"] += 1

    @property
    def total(self) -> int:
        return sum(self.outcomes.values())

    @property
    def good(self) -> float:
        """The share of requests that were served, in percent."""
        return 100 * self.outcomes[200] / max(1, self.total)

    @property
    def lost(self) -> int:
        return self.outcomes[NO_RESPONSE]

    def percentile(self, percent: float, outcome: int | str = 200) -> float:
        """Milliseconds; NaN where nothing had this outcome."""
        values = sorted(self.seconds.get(outcome, ()))
        return 1e3 * values[min(len(values) - 1, int(len(values) * percent / 100))] if values else float("nan")

    def describe(self) -> str:
        """The outcomes in one line: ``200: 31, 503: 2``."""
        named = sorted(self.outcomes.items(), key=lambda item: str(item[0]))
        notes = [*self.flaws.items(), *self.losses.items()]
        return ", ".join([*(f"{outcome}: {count}" for outcome, count in named)]) + "".join(
            f"; {text} ({count})" for text, count in notes
        )


class Client:
    """A client that keeps its connection, or opens one for each request."""

    def __init__(self, port: int, tally: Tally, keep: bool = True, timeout: float = _TIMEOUT) -> None:
        self._port = port
        self._tally = tally
        self._keep = keep
        self._timeout = timeout
        self._connection: Connection | None = None

    async def send(self, request: bytes) -> Response | None:
        """Send a request and note what becomes of it; None is no response."""
        start = time.perf_counter()
        try:
            if self._connection is None or not self._connection.open:
                self._connection = await connect(self._port)
            response = await self._connection.exchange(request, self._timeout)
        except NoResponse as error:
            self._connection = None
            self._tally.add(NO_RESPONSE, time.perf_counter() - start)
            self._tally.losses[str(error)] += 1
            return None
        self._tally.add(response.status, time.perf_counter() - start)
        self._tally.check(response)
        if not self._keep:
            self.close()
        return response

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None


async def paced(client: Client, requests: Sequence[bytes], interval: float, until: float, offset: float = 0) -> None:
    """Send a request every ``interval`` seconds, or as soon as the one before is done, until this moment."""
    due = time.monotonic() + offset
    for request in itertools.cycle(requests):
        due = max(due, time.monotonic() - interval)
        if due >= until:
            break
        await asyncio.sleep(max(0, due - time.monotonic()))
        await client.send(request)
        due += interval
    client.close()


async def crowd(port: int, clients: int, rate: float, requests: Sequence[bytes], seconds: float) -> Tally:
    """Clients on kept connections that together offer this many requests a second."""
    tally, until = Tally(), time.monotonic() + seconds
    interval = clients / rate
    await asyncio.gather(
        *(
            paced(Client(port, tally), requests, interval, until, offset=interval * number / clients)
            for number in range(clients)
        )
    )
    return tally


async def probe(port: int, seconds: float, path: str = "/livez") -> Tally:
    """Probes like a kubelet's, on connections of their own; a late one does not delay the next."""
    tally, until, tasks = Tally(), time.monotonic() + seconds, []
    request = uploads.get(path, "Connection: close")
    while time.monotonic() < until:
        tasks.append(asyncio.create_task(Client(port, tally, keep=False).send(request)))
        await asyncio.sleep(_PROBE_INTERVAL)
    await asyncio.gather(*tasks)
    return tally


async def visitors(port: int, rate: float, requests: Sequence[bytes], seconds: float) -> Tally:
    """Clients that come for one request each, at this rate, whatever becomes of the ones before."""
    tally, tasks = Tally(), []
    start, number = time.monotonic(), 0
    while (now := time.monotonic()) < start + seconds:
        while start + number / rate <= now:
            client = Client(port, tally, keep=False)
            tasks.append(asyncio.create_task(client.send(requests[number % len(requests)])))
            number += 1
        await asyncio.sleep(max(0, start + number / rate - time.monotonic()))
    await asyncio.gather(*tasks)
    return tally
