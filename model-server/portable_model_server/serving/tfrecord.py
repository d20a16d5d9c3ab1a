"""Reads TFRecord files without TensorFlow.

A record is its length (uint64), the length's checksum, the data, and the data's checksum, all little-endian.
Source: tensorflow/core/lib/io/record_writer.h.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")


def _crc32c_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ 0x82F63B78 * (byte & 1)  # Castagnoli's polynomial, reversed
        table.append(byte)
    return tuple(table)


_TABLE = _crc32c_table()


class TFRecordError(ValueError):
    """A file is not a TFRecord file, or it is damaged."""


def read_records(path: Path) -> Iterator[bytes]:
    """Yield each record's data.

    Raises:
        TFRecordError: The file cannot be read, it is cut short, or a checksum does not fit.
    """
    try:
        left = path.stat().st_size
        with path.open("rb") as file:
            while left:
                if left < _HEADER.size:
                    raise TFRecordError("truncated record")
                header = file.read(_HEADER.size)
                length, checksum = _HEADER.unpack(header)
                left -= _HEADER.size
                if checksum != masked_crc32c(header[:8]):
                    raise TFRecordError("corrupted record: the length's checksum does not fit")
                if length + _FOOTER.size > left:
                    raise TFRecordError("truncated record")
                data = file.read(length)
                if _FOOTER.unpack(file.read(_FOOTER.size))[0] != masked_crc32c(data):
                    raise TFRecordError("corrupted record: the data's checksum does not fit")
                left -= length + _FOOTER.size
                yield data
    except OSError as error:
        raise TFRecordError(f"cannot be read: {error.strerror}") from None


def masked_crc32c(data: bytes) -> int:
    """Compute a CRC-32C, rotated and offset so that it also works on data that contains checksums."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
