"""Mutated requests: whatever comes, the gateway must stay up, stay small, and have no error of its own."""

import asyncio
import io
import random
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from benchmarks.edge import uploads
from benchmarks.edge.polite import Tally, probe
from benchmarks.edge.servers import Server, gateway, model_server

LIMIT = 512  # MiB resident
_CLIENTS = 40
_PATIENCE = 0.25  # seconds of silence after which a client ends its side, where the request may be only a part of one
_LONGEST = 20.0  # seconds for a response
_BY_DESIGN = (501, 503, 504)  # 501: a transfer coding that nobody knows (RFC 9112, 6.1)
_INTERESTING = (
    b"\0",
    b"\r\n",
    b"\n",
    b":",
    b" ",
    b"%00",
    b"../",
    b"\xff",
    b"0",
    b"-1",
    b"99999999999999999999",
    b",",
    b";",
)


def _seeds() -> list[bytes]:
    image = uploads.image("8 kB")
    chunked = b"POST /predict HTTP/1.1\r\nHost: g\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (image[:3000], image[3000:])) + b"0\r\n\r\n"
    return [
        uploads.post(image),
        uploads.post(image, "/predict?explain=true"),
        uploads.form([image, image]),
        uploads.post(b'{"url": "http://198.51.100.7/a.jpg"}', "/predict", "application/json"),
        uploads.post(b'{"image": "aGVsbG8="}', "/predict", "application/json"),
        chunked + chunks,
        *_inferences(image),
        uploads.get("/"),
        uploads.get("/readyz"),
        uploads.get("/metrics"),
        uploads.get("/livez"),
    ]


def _inferences(image: bytes) -> list[bytes]:
    """Requests of the Open Inference Protocol: files as JSON and behind it, pixels, and what the model is."""
    path = "/v2/models/brain-tumor/infer"
    files = b'{"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": ["%b"]}]}' % b64encode(image)
    pixels = b'{"inputs": [{"name": "images", "shape": [1, 1, 2, 3], "datatype": "UINT8", "data": [1, 2, 3, 4, 5, 6]}]}'
    behind = len(image).to_bytes(4, "little") + image
    header = (
        b'{"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": %d}}]}'
    )
    header %= len(behind)
    binary = uploads.post(header + behind, path, "application/octet-stream")
    length = b"\r\nInference-Header-Content-Length: %d\r\n\r\n" % len(header)
    return [
        uploads.post(files, path, "application/json"),
        uploads.post(pixels, path, "application/json"),
        binary.replace(b"\r\n\r\n", length, 1),
        uploads.get("/v2/models/brain-tumor/versions/1"),
    ]


def _images() -> list[bytes]:
    """Small images of each kind that Pillow writes."""
    images = [uploads.image("8 kB")]
    for kind, mode in (
        *(("PNG", "RGB"), ("PNG", "I;16"), ("PNG", "P"), ("PNG", "RGBA"), ("TIFF", "RGB"), ("TIFF", "F"), ("GIF", "P")),
        *(("BMP", "RGB"), ("WEBP", "RGB"), ("JPEG", "CMYK"), ("JPEG2000", "RGB"), ("AVIF", "RGB")),
    ):
        buffer = io.BytesIO()
        try:
            Image.effect_noise((40, 40), 50).convert(mode).save(buffer, kind)
        except (OSError, ValueError, KeyError):  # this Pillow does not write it
            continue
        images.append(buffer.getvalue())
    return images


def mutate(data: bytes, rng: random.Random, most: int = 4) -> bytes:
    """Change some bytes: flip, cut, repeat, insert, or swap parts."""
    mutant = bytearray(data)
    for _ in range(rng.randint(1, most)):
        if not mutant:
            break
        at = rng.randrange(len(mutant))
        end = min(len(mutant), at + rng.choice((1, 2, 4, 16, 200)))
        change = rng.randrange(6)
        if change == 0:
            mutant[at] ^= 1 << rng.randrange(8)
        elif change == 1:
            del mutant[at:end]
        elif change == 2:
            mutant[at:at] = mutant[at:end] * rng.choice((1, 2, 50))
        elif change == 3:
            mutant[at:end] = rng.choice(_INTERESTING)
        elif change == 4:
            mutant[at:at] = rng.randbytes(rng.choice((1, 4, 32)))
        else:
            del mutant[at:]
    return bytes(mutant)


def requests(count: int, seed: int) -> list[Callable[[], bytes]]:
    """Makers of requests: half have a mutated head or frame, half a mutated image in a sound request."""
    seeds, images = _seeds(), _images()

    def http(number: int) -> bytes:
        rng = random.Random(f"{seed} {number}")
        original = rng.choice(seeds)
        head, _, body = original.partition(b"\r\n\r\n")
        if rng.random() < 0.7:  # most of a request's bytes are the image's
            return mutate(head + b"\r\n\r\n", rng) + body
        return mutate(original, rng)

    def picture(number: int) -> bytes:
        rng = random.Random(f"{seed} {number}")
        path = rng.choice(("/predict", "/predict", "/predict?explain=true"))
        return uploads.post(
            mutate(rng.choice(images), rng, 2), path, rng.choice(("image/jpeg", "application/octet-stream"))
        )

    return [lambda number=number: (picture if _is_picture(number) else http)(number) for number in range(count)]


def _is_picture(number: int) -> bool:
    return number % 2 == 1


def play(log: Path, count: int, seed: int, folder: Path, command: Sequence[str] = ()) -> None:
    """Print what came of the requests; keep those that the gateway failed on in the folder."""
    seen = log.stat().st_size if log.exists() else 0
    settings = {"GATEWAY_URL_SECONDS": "0.2", "GATEWAY_DEADLINE_SECONDS": "5"}
    with model_server(delay=0.001, parallel=4) as model, gateway(model, log, command, **settings) as server:
        print(asyncio.run(_play(server, requests(count, seed), folder)), flush=True)
    errors = Counter(
        line.split(b" ERROR ")[1][:60].decode(errors="replace")
        for line in log.read_bytes()[seen:].splitlines()
        if b" ERROR " in line
    )
    print(f"errors in the log: {dict(errors) or 'none'}", flush=True)


async def _play(server: Server, makers: Sequence[Callable[[], bytes]], folder: Path) -> str:
    outcomes: Counter[str] = Counter()
    workers, start, peak = server.workers(), time.monotonic(), 0.0
    todo = iter(enumerate(makers))

    async def work() -> None:
        nonlocal peak
        for number, make in todo:
            request = make()
            # A client that ends its side of a whole request is taken for one that left.
            outcome = await _send(server.port, request, _LONGEST if _is_picture(number) else _PATIENCE)
            outcomes[outcome] += 1
            if outcome.startswith("5") and int(outcome) not in _BY_DESIGN:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{outcome}-{number}.http").write_bytes(request)
            if number % 500 == 0:
                peak = max(peak, server.resident())
                if number % 10_000 == 0:
                    print(
                        f"{number} after {time.monotonic() - start:.0f} s, {peak:.0f} MiB: {dict(outcomes)}", flush=True
                    )

    await asyncio.gather(*(work() for _ in range(_CLIENTS)))
    probes: Tally = await probe(server.port, 2)
    failed = sum(n for outcome, n in outcomes.items() if outcome.startswith("5") and int(outcome) not in _BY_DESIGN)
    return (
        f"{len(makers)} requests in {time.monotonic() - start:.0f} s: "
        f"{', '.join(f'{outcome}: {n}' for outcome, n in sorted(outcomes.items()))}; {failed} statuses "
        f"5xx that are none by design{f' (kept in {folder})' if failed else ''}; "
        f"{'NO restart' if server.workers() == workers else 'A RESTART'}; resident {server.resident():.0f} MiB, "
        f"highest {peak:.0f} (limit {LIMIT}); afterwards {probes.describe()} of /livez"
    )


async def _send(port: int, request: bytes, patience: float) -> str:
    """Send a request, end this side once nothing more comes, and return the last status, or what came instead."""
    received, ended = b"", False
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        return f"no connection: {type(error).__name__}"
    try:
        writer.write(request)
        async with asyncio.timeout(_LONGEST):
            while True:
                try:
                    async with asyncio.timeout(_LONGEST if ended else patience):
                        part = await reader.read(65536)
                except TimeoutError:
                    writer.write_eof()
                    ended = True
                    continue
                if not part:
                    break
                received += part
                if b"\r\n\r\n" in received and not ended:
                    writer.write_eof()
                    ended = True
    except TimeoutError:
        return f"nothing within {_LONGEST:.0f} s"
    except (ConnectionError, OSError) as error:
        if not received:
            return type(error).__name__
    finally:
        writer.close()
    if not received:
        return "closed"
    return received[9:12].decode("latin-1") if received.startswith(b"HTTP/1.") else "not HTTP"
