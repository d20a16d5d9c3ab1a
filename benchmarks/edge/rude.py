"""Clients that are lazy, slow, broken or greedy: ``python -m benchmarks.edge.rude KIND COUNT PORT SECONDS``.

They are a process of their own, so that what they do does not disturb the polite clients' clocks. Each client begins
anew once its connection is at its end. At the end the process prints, as JSON, how often each thing happened to them:
a status, ``closed`` (without a response), ``reset``, or ``waits`` for those that still have their connection.
"""

import asyncio
import contextlib
import json
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable

from benchmarks.edge import uploads
from benchmarks.edge.namespace import DEAD_HOST

_IMAGE = uploads.post(uploads.image("300 kB"))
_HEAD, _, _BODY = _IMAGE.partition(b"\r\n\r\n")
_CHUNKED = b"POST /predict HTTP/1.1\r\nHost: gateway\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n"
_MALFORMED = (
    b"zz\r\nabc\r\n",
    b"3\r\nabcdef\r\n0\r\n\r\n",
    b"-3\r\nabc\r\n",
    b"ffffffffffffffffff\r\nabc",
    b"\r\n\r\n",
)
_ESTABLISHED = 1  # a state of TCP, in TCP_INFO's first byte
Outcomes = Counter[str]
Kind = Callable[["Rude", int], Awaitable[None]]


class Rude:
    """A gateway to be rude to, and what comes of it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.outcomes: Outcomes = Counter()

    async def open(self, small: bool = False) -> socket.socket:
        """A connection; a ``small`` one has buffers and segments of the smallest size, so that the sender waits."""
        connection = socket.socket()
        connection.setblocking(False)
        if small:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
        return connection

    async def send(self, connection: socket.socket, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(connection, data)

    async def outcome(self, connection: socket.socket) -> str:
        """Read until the gateway closes: the status of its response, or what there was instead."""
        received = b""
        while part := await asyncio.get_running_loop().sock_recv(connection, 65536):
            received = (received + part)[:64]
        return received[9:12].decode() if received.startswith(b"HTTP/1.") else "closed"

    async def forever(self, kind: Kind, number: int, begin: float) -> None:
        """Be one client of this kind again and again."""
        await asyncio.sleep(begin)
        while True:
            try:
                await kind(self, number)
            except ConnectionError:
                self.outcomes["reset"] += 1
            await asyncio.sleep(1)


async def _say_and_wait(rude: Rude, *parts: bytes, pause: float = 0) -> None:
    with contextlib.closing(await rude.open()) as connection:
        reading = asyncio.create_task(rude.outcome(connection))
        try:
            for part in parts:
                if reading.done():
                    break
                await rude.send(connection, part)
                await asyncio.sleep(pause)
            rude.outcomes[await reading] += 1
        except asyncio.CancelledError:
            rude.outcomes["waits"] += 1
            raise
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def _wait_for_end(rude: Rude, connection: socket.socket) -> None:
    """Wait, without reading, until the gateway ends the connection."""
    try:
        while connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED:
            await asyncio.sleep(0.5)
        rude.outcomes["ended by the gateway"] += 1
    except asyncio.CancelledError:
        rude.outcomes["waits"] += 1
        raise


async def silent(rude: Rude, number: int) -> None:
    """Connects and says nothing."""
    await _say_and_wait(rude)


async def half_header(rude: Rude, number: int) -> None:
    """Stops in the middle of the headers."""
    await _say_and_wait(rude, _HEAD[:-20])


async def half_body(rude: Rude, number: int) -> None:
    """Stops in the middle of the body."""
    await _say_and_wait(rude, _HEAD + b"\r\n\r\n" + _BODY[: len(_BODY) // 2])


async def no_body(rude: Rude, number: int) -> None:
    """Announces a body and does not send it."""
    await _say_and_wait(rude, _HEAD + b"\r\n\r\n")


async def drip_header(rude: Rude, number: int) -> None:
    """Sends a byte of the headers every half second."""
    await _say_and_wait(rude, *(_HEAD[at : at + 1] for at in range(len(_HEAD))), pause=0.5)


async def drip_body(rude: Rude, number: int) -> None:
    """Sends a byte of the body every half second."""
    await _say_and_wait(rude, _HEAD + b"\r\n\r\n", *(_BODY[at : at + 1] for at in range(500)), pause=0.5)


async def never_read(rude: Rude, number: int) -> None:
    """Asks for an overlay and does not read the response."""
    with contextlib.closing(await rude.open(small=True)) as connection:
        await rude.send(connection, uploads.post(uploads.noise(512), "/predict?explain=true"))
        await _wait_for_end(rude, connection)


async def pipelined(rude: Rude, number: int) -> None:
    """Sends a thousand requests at once and reads nothing."""
    with contextlib.closing(await rude.open(small=True)) as connection:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(rude.send(connection, uploads.get("/metrics") * 1000), 5)
        await _wait_for_end(rude, connection)


async def close_and_stay(rude: Rude, number: int) -> None:
    """Says ``Connection: close``, gets its response, and does not close."""
    with contextlib.closing(await rude.open()) as connection:
        await rude.send(connection, uploads.get("/livez", "Connection: close"))
        rude.outcomes[await rude.outcome(connection)] += 1
        await asyncio.sleep(5)


async def dead_url(rude: Rude, number: int) -> None:
    """Names an image at a host that does not answer."""
    body = json.dumps({"url": f"http://{DEAD_HOST}/{number}.jpg"}).encode()
    await _say_and_wait(rude, uploads.post(body, "/predict", "application/json", "Connection: close"))


async def malformed_chunk(rude: Rude, number: int) -> None:
    """Sends chunks that are none."""
    await _say_and_wait(rude, _CHUNKED + _MALFORMED[number % len(_MALFORMED)])
    await asyncio.sleep(2)


async def leaver(rude: Rude, number: int) -> None:
    """Leaves after half a second; the model takes six for this image."""
    with contextlib.closing(await rude.open()) as connection:
        await rude.send(connection, uploads.post(uploads.red()))
        await asyncio.sleep(0.5)
        rude.outcomes["left"] += 1


async def large_image(rude: Rude, number: int) -> None:
    """Wants an overlay of an image with 16 million pixels."""
    await _say_and_wait(
        rude, uploads.post(uploads.smooth(4096, 4096), "/predict?explain=true", "image/jpeg", "Connection: close")
    )


async def hoarder(rude: Rude, number: int) -> None:
    """Sends 19 MB of a body, and never its end."""
    await _say_and_wait(rude, uploads.post(bytes(19 << 20))[:-1])


KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        *(silent, half_header, half_body, no_body, drip_header, drip_body, never_read, pipelined, close_and_stay),
        *(dead_url, malformed_chunk, leaver, large_image, hoarder),
    )
}


async def play(kind: str, count: int, port: int, seconds: float, ramp: float) -> Outcomes:
    """Let ``count`` clients be rude; they come within ``ramp`` seconds."""
    rude = Rude(port)
    tasks = [asyncio.create_task(rude.forever(KINDS[kind], number, number * ramp / count)) for number in range(count)]
    await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            rude.outcomes[type(result).__name__] += 1
    return rude.outcomes


def main() -> None:
    kind, count, port, seconds, ramp = sys.argv[1:6]
    print(json.dumps(asyncio.run(play(kind, int(count), int(port), float(seconds), float(ramp)))))


if __name__ == "__main__":
    main()
