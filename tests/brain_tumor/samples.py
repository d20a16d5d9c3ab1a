"""Images of more than 8 bits for tests, and what must come of them: written without the code under test."""

import struct

import numpy as np

from brain_tumor.image import decode

Y, X = np.mgrid[0:32, 0:40]
GREY = (X * 70 + Y * 40).astype(np.uint16)  # 12 bits
COLOUR = np.stack([GREY, 3970 - GREY, (X * 50 + Y * 60).astype(np.uint16)], axis=-1)
KINDS = {"u": 1, "i": 2, "f": 3}


def tiff(*pages: np.ndarray, photometric: int | None = None, order: str = "<", big: bool = False, **tags: int) -> bytes:
    """An uncompressed TIFF: each page (height, width) or (height, width, channel). Further tags as ``t274=6``."""
    data = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + ("HHHQ" if big else "HI"), *_magic(big)))
    link = 8 if big else 4
    for page in pages:
        values = page.astype(page.dtype.newbyteorder(order))
        height, width, channels = (*values.shape, 1)[:3]
        place = len(data)
        data += values.tobytes()
        colour = 1 if channels < 3 else 2
        entries = {256: width, 257: height, 258: values.dtype.itemsize * 8, 259: 1, 273: place, 277: channels}
        entries |= {262: colour if photometric is None else photometric, 278: height, 279: values.nbytes}
        entries |= {339: KINDS[values.dtype.kind], **{int(name[1:]): value for name, value in tags.items()}}
        bits = len(data)
        data += struct.pack(f"{order}{channels}H", *[entries[258]] * channels)
        struct.pack_into(order + ("Q" if big else "I"), data, link, len(data))
        data += struct.pack(order + ("Q" if big else "H"), len(entries))
        for tag, value in sorted(entries.items()):
            count, kind = (channels, 3) if tag == 258 else (1, 4)
            short = count * 2 <= (8 if big else 4)
            if tag != 258:
                content = struct.pack(order + "I", value)
            elif short:
                content = struct.pack(f"{order}{count}H", *[value] * count)
            else:
                content = struct.pack(order + ("Q" if big else "I"), bits)
            data += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, count) + content.ljust(
                8 if big else 4, b"\0"
            )
        link = len(data)
        data += bytes(8 if big else 4)
    return bytes(data)


def _magic(big: bool) -> tuple[int, ...]:
    return (43, 8, 0, 0) if big else (42, 0)


def windowed(values: np.ndarray) -> np.ndarray:
    """What the documents say: linearly between two percentiles of all colour channels."""
    exact = values.astype(np.float64)
    low, high = np.percentile(exact, (0.5, 99.5), method="nearest")
    grey = np.rint((np.clip(exact, low, high) - low) / (high - low) * 255)
    return grey if values.ndim == 3 else np.repeat(grey[..., np.newaxis], 3, axis=-1)


def difference(data: bytes, expected: np.ndarray) -> int:
    return int(np.abs(np.asarray(decode(data)).astype(int) - expected).max())
