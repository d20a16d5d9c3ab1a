import random
import tracemalloc
from urllib.parse import quote_from_bytes, unquote_to_bytes

import pytest

from gateway.images.percent import MAX_ESCAPES, unquote
from gateway.images.sent import InvalidRequest


@pytest.mark.parametrize("data", [b"", b"a", b"%", b"%4", b"%41", b"%4g%41", b"a%2Fb+c", b"%%41"])
def test_like_the_library(data):
    assert unquote(data) == unquote_to_bytes(data)


@pytest.mark.parametrize("before", range(5))
def test_an_escape_at_the_end_of_a_piece_is_not_cut(before):
    data = random.Random(1).randbytes(200_000)
    quoted = b"a" * before + quote_from_bytes(data).encode()
    assert unquote(quoted) == b"a" * before + data


def test_many_escapes_take_little_memory_and_too_many_are_refused():
    data = b"%41" * MAX_ESCAPES
    tracemalloc.start()
    try:
        assert unquote(data) == b"A" * MAX_ESCAPES
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    with pytest.raises(InvalidRequest, match="base64"):
        unquote(data + b"%41")
