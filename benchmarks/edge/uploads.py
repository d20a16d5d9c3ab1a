"""Images of known sizes, and the bytes of requests that carry them."""

import functools
import io

import numpy as np
from PIL import Image

from brain_tumor.processes import ROOT

SAMPLES = ("8 kB", "300 kB", "3 MB")
_SIZES = {"300 kB": 300_000, "0.5 MB": 500_000, "3 MB": 3_000_000, "4 MB": 4_000_000}
_SEGMENT = 60_000  # bytes of a comment


@functools.cache
def image(size: str) -> bytes:
    """The sample scan, made as large as this by comments in the JPEG: more to send, and no more to decode."""
    scan = (ROOT / "examples" / "glioma.jpg").read_bytes()
    comment = b"\xff\xfe" + (_SEGMENT + 2).to_bytes(2, "big") + bytes(range(1, 251)) * (_SEGMENT // 250)
    return scan[:2] + comment * (_SIZES.get(size, 0) // _SEGMENT) + scan[2:]


@functools.cache
def noise(side: int) -> bytes:
    """A JPEG of colour noise, ``side`` pixels wide and high: its overlay compresses badly too."""
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
    return _jpeg(Image.fromarray(pixels), 88)


@functools.cache
def smooth(width: int, height: int) -> bytes:
    """A JPEG of a ramp: many pixels in few bytes."""
    return _jpeg(Image.linear_gradient("L").resize((width, height)).convert("RGB"), 90)


@functools.cache
def red() -> bytes:
    """A JPEG that the slow model takes its time for."""
    return _jpeg(Image.new("RGB", (128, 128), (255, 0, 0)), 90)


@functools.cache
def scan(side: int, mode: str) -> bytes:
    """The sample scan, enlarged: as a scan of that size compresses, in one channel (mode L) or three (RGB)."""
    with Image.open(io.BytesIO(image(SAMPLES[0]))) as original:
        return _jpeg(original.convert(mode).resize((side, side), Image.Resampling.BICUBIC), 90)


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def post(body: bytes, path: str = "/predict", content_type: str = "image/jpeg", *headers: str) -> bytes:
    """The bytes of a request with this body."""
    lines = [f"POST {path} HTTP/1.1", "Host: gateway", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def get(path: str, *headers: str) -> bytes:
    """The bytes of a request without a body."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: gateway", *headers, "", ""]).encode()


def form(images: list[bytes], path: str = "/predict") -> bytes:
    """The bytes of a request with a form of several images."""
    boundary = "a-boundary-of-the-benchmark"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'.encode()
    body = b"".join(head + one + b"\r\n" for one in images) + f"--{boundary}--\r\n".encode()
    return post(body, path, f"multipart/form-data; boundary={boundary}")
