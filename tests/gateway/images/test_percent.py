from itertools import product
from urllib.parse import unquote_to_bytes

import pytest

from gateway.images import percent
from gateway.images.percent import decode_percent


def test_every_byte_and_what_is_no_escape():
    assert decode_percent(b"".join(b"%%%02x" % byte for byte in range(256))) == bytes(range(256))
    assert decode_percent(b"%4f%4F%") == b"OO%"
    for text in product(b"%4aFg\n", repeat=5):
        assert decode_percent(bytes(text)) == unquote_to_bytes(bytes(text))
    for text in (b"", b"%", b"%4", b"a" * 5):
        assert decode_percent(text) == text


@pytest.mark.parametrize("piece", range(4, 10))
def test_escapes_at_the_end_of_a_piece(monkeypatch, piece):
    monkeypatch.setattr(percent, "_PIECE", piece)
    for text in (b"%41%42%43%44%45%46%47", b"ab%41cd%%42%%%43%g%4", b"%" * 30):
        assert decode_percent(text) == unquote_to_bytes(text)


def test_megabytes_are_not_decoded_one_by_one():
    assert decode_percent(b"%41a" * 1_000_000) == b"Aa" * 1_000_000
