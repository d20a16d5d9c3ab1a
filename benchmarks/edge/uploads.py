"""Images of known sizes, and the bytes of requests that carry them."""

import functools
import io

import numpy as np
from PIL import Image

from brain_tumor.processes import ROOT

SAMPLES = ("8 kB", "300 kB", "3 MB")
_SIDES = {"300 kB": 480, "3 MB": 1500}


@functools.cache
def image(size: str) -> bytes:
    """A JPEG of about this size; the smallest is a sample scan."""
    if size == SAMPLES[0]:
        return (ROOT / "examples" / "glioma.jpg").read_bytes()
    return noise(_SIDES[size])


@functools.cache
def noise(side: int) -> bytes:
    """A JPEG of colour noise, ``side`` pixels wide and high, about 1.3 bytes a pixel."""
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
def scan(side: int) -> bytes:
    """The sample scan, enlarged: as a scan of that size compresses."""
    with Image.open(io.BytesIO(image(SAMPLES[0]))) as original:
        return _jpeg(original.resize((side, side), Image.Resampling.BICUBIC), 90)


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
