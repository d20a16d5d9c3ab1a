"""How one server, the gateway's or a candidate, treats single clients: when it ends whom, and with which words."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from pathlib import Path

from benchmarks.edge import rude, uploads
from benchmarks.edge.connection import NoResponse, connect, parse
from benchmarks.edge.servers import Server, gateway, model_server

_LONGEST = 45.0  # seconds that a client waits
_MAX_BODY = 1 << 20  # bytes; a larger upload is refused early
_CHUNKED = b"POST /predict HTTP/1.1\r\nHost: gateway\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n"


def play(log: Path, command: Sequence[str] = ()) -> None:
    """Print what happened to each client."""
    print("| client | what happened |\n| --- | --- |", flush=True)
    with model_server() as model, gateway(model, log, command, GATEWAY_MAX_BODY_BYTES=str(_MAX_BODY)) as server:
        for line in asyncio.run(_play(server)):
            print(line, flush=True)
        print(asyncio.run(_early(server)), flush=True)
    with model_server(slow=2.0) as model, gateway(model, log, command) as server:
        print(asyncio.run(_end(server)), flush=True)


async def _play(server: Server) -> list[str]:
    head, _, body = uploads.post(uploads.image("300 kB")).partition(b"\r\n\r\n")
    clients: dict[str, Awaitable[str]] = {
        "silent": _watch(server, b""),
        "half a header": _watch(server, head[:-20]),
        "half a body": _watch(server, head + b"\r\n\r\n" + body[:100_000]),
        "a byte of the header every half second": _watch(server, head[:-20], drip=True),
        "a byte of the body every half second": _watch(server, head + b"\r\n\r\n", drip=True),
        "never reads": _never_reads(server),
        "idle after a response": _watch(server, uploads.get("/livez")),
        "asks on the same connection every half second": _keeps(server),
        "malformed chunk": _watch(server, _CHUNKED + b"zz\r\nabc\r\n"),
        "malformed request line": _watch(server, b"GET\x00 / HTTP/1.1\r\n\r\n"),
        "header of 100 kB": _watch(server, b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n"),
        "`Connection: close`, stays open": _watch(server, uploads.get("/livez", "Connection: close")),
        "Content-Length and Transfer-Encoding": _watch(
            server, _CHUNKED.replace(b"Host:", b"Content-Length: 5\r\nHost:") + b"0\r\n\r\n"
        ),
    }
    results = await asyncio.gather(*clients.values())
    return [f"| {client} | {result} |" for client, result in zip(clients, results, strict=True)]


async def _watch(server: Server, data: bytes, drip: bool = False) -> str:
    """Send this, then say what came and when the connection ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    start, received, ended = time.monotonic(), bytearray(), "is still open"
    writer.write(data)

    async def go_on() -> None:
        while drip:
            await asyncio.sleep(0.5)
            writer.write(b"a")

    dripping = asyncio.create_task(go_on())
    responded = ""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LONGEST):
            try:
                while part := await reader.read(65536):
                    received += part
                    if not responded and (response := parse(received)):
                        kind = response.headers.get(b"content-type", b"without a content type").decode()
                        responded = f"{response.status} ({kind}) after {time.monotonic() - start:.1f} s, "
                ended = f"closed after {time.monotonic() - start:.1f} s"
            except ConnectionError:
                ended = f"reset after {time.monotonic() - start:.1f} s"
    dripping.cancel()
    writer.close()
    return f"{responded}{ended}" + (f" at {_LONGEST:.0f} s" if "still" in ended else "")


async def _never_reads(server: Server) -> str:
    client = rude.Rude(server.port)
    start = time.monotonic()
    task = asyncio.create_task(rude.never_read(client, 0))
    await asyncio.wait([task], timeout=_LONGEST)
    if not task.done():
        task.cancel()
        return f"is still open at {_LONGEST:.0f} s"
    return f"ended after {time.monotonic() - start:.1f} s"


async def _keeps(server: Server) -> str:
    connection = await connect(server.port)
    start = time.monotonic()
    while time.monotonic() < start + _LONGEST:
        response = await connection.exchange(uploads.get("/"), 10)
        if response.closes:
            return f"told to connect anew after {time.monotonic() - start:.1f} s"
        await asyncio.sleep(0.5)
    return f"is never told to connect anew, at {_LONGEST:.0f} s"


async def _early(server: Server) -> str:
    """Uploads that are refused for their size, while they are being sent."""
    outcomes: Counter[str] = Counter()
    request = uploads.post(uploads.image("3 MB"))

    async def one() -> None:
        try:
            connection = await connect(server.port)
            response = await connection.exchange(request, 20)
            outcomes[f"{response.status} {response.headers.get(b'content-type', b'').decode()}"] += 1
            connection.close()
        except NoResponse as error:
            outcomes[str(error)] += 1

    for _ in range(10):
        await asyncio.gather(*(one() for _ in range(8)))
    return f"| 80 uploads of 3 MB, too large | {', '.join(f'{text}: {count}' for text, count in outcomes.items())} |"


async def _end(server: Server) -> str:
    """SIGTERM with an idle kept connection and a request that takes 2 s."""
    idle, busy = await connect(server.port), await connect(server.port)
    await idle.exchange(uploads.get("/livez"), 10)
    task = asyncio.create_task(busy.exchange(uploads.post(uploads.red()), 20))
    await asyncio.sleep(0.5)
    server.process.terminate()
    start = time.monotonic()
    gone = asyncio.get_running_loop().run_in_executor(None, lambda: server.process.wait(60))
    try:
        outcome = str((await task).status)
    except NoResponse as error:
        outcome = str(error)
    await gone
    seconds = time.monotonic() - start
    return (
        f"| SIGTERM, a kept connection idle, a request that takes 1.5 s more | {outcome}; ended after {seconds:.1f} s |"
    )
