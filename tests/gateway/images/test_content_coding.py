import gzip
import zlib

import pytest

from gateway.images.content_coding import inflate
from gateway.images.sent import BodyTooLarge, InvalidRequest, UnsupportedMediaType

DATA = bytes(range(256)) * 10
LIMIT = 10_000


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-15)


CODED = [
    ("gzip", gzip.compress(DATA)),
    ("x-gzip", gzip.compress(DATA)),
    ("GZIP ", gzip.compress(DATA[:100]) + gzip.compress(DATA[100:])),
    ("gzip", b"".join(gzip.compress(bytes([byte])) for byte in DATA[:900]) + gzip.compress(DATA[900:])),
    ("deflate", zlib.compress(DATA)),
    ("Deflate", raw_deflate(DATA)),
    ("identity", DATA),
    ("", DATA),
]


@pytest.mark.parametrize(("coding", "body"), CODED)
def test_codings(coding, body):
    assert inflate(body, coding, LIMIT) == DATA
    assert inflate(body, coding, len(DATA)) == DATA


@pytest.mark.parametrize(("coding", "body"), CODED[:6])
def test_incomplete_or_damaged(coding, body):
    for bad in (body[: len(body) // 2], body[:-5], b"\0\0" + body[2:], DATA):
        with pytest.raises(InvalidRequest, match="damaged"):
            inflate(bad, coding, LIMIT)


@pytest.mark.parametrize(
    ("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)]
)
def test_a_bomb_is_inflated_no_further_than_the_limit(coding, compress):
    bomb = compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    with pytest.raises(BodyTooLarge, match="10,000 bytes"):
        inflate(bomb, coding, LIMIT)


def test_gzip_with_a_name_and_zeros_after_its_members():
    member = b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 200_000 + b"\0" + gzip.compress(DATA)[10:]
    assert inflate(member + bytes(200_000) + member + bytes(7), "gzip", LIMIT) == DATA * 2


def test_gzip_members_are_counted():
    member = gzip.compress(b"")
    assert inflate(member * 1000, "gzip", LIMIT) == b""
    with pytest.raises(InvalidRequest, match="1,000 members"):
        inflate(member * 1001, "gzip", LIMIT)


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "x" * 100])
def test_other_codings_are_refused_with_those_that_work(coding):
    with pytest.raises(UnsupportedMediaType, match="gzip, deflate") as caught:
        inflate(DATA, coding, LIMIT)
    assert coding not in str(caught.value) or coding == "gzip"
