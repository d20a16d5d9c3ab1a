"""Memory and time stay within what a body's size allows, whatever millions of values it has."""

import tracemalloc

import pytest

from brain_tumor.metadata import ImageSpec
from gateway.deadline import ClientLeft, Deadline
from gateway.http.open_inference.request import read_inference
from gateway.http.open_inference.tensors import FILES, read_files, read_pixels
from gateway.images.sent import InvalidRequest

SIZE = 3_000_000  # bytes of each body, about
# Copies of the body that may be in memory at once: as objects of Python its values would be ten and more.
MOST = 4.0
IMAGE = ImageSpec(100, 100)


def body(data: bytes, shape: bytes = b"[16,100,100,3]", name: bytes = b"images", datatype: bytes = b"UINT8") -> bytes:
    return b'{"inputs":[{"name":"%b","datatype":"%b","shape":%b,"data":%b}]}' % (name, datatype, shape, data)


def many(part: bytes) -> bytes:
    return b"[" + part * (SIZE // len(part)) + b"0]"


BODIES = {
    "numbers": body(many(b"1,")),
    "lists": body(many(b"[],")),
    "texts": body(many(b'"",'), b"[1]", b"image", b"BYTES"),
    "lists of texts": body(many(b'[""],'), b"[1]", b"image", b"BYTES"),
    "dimensions": body(b"[1]", many(b"1,")),
    "inputs": b'{"inputs":' + many(b'{"name":"","datatype":"","shape":[]},') + b"}",
    "outputs": b'{"outputs":' + many(b'{"name":""},') + b',"inputs":[{"name":"","datatype":"","shape":[],"data":[]}]}',
    "parameters": b'{"parameters":{' + b'"a":1,' * (SIZE // 6) + b'"a":1},"inputs":[]}',
    "beside": b'{"beside":' + many(b"[],") + b',"inputs":[]}',
}


def read(content: bytes, deadline: Deadline) -> object:
    tensor = read_inference(content, "").tensor
    return read_files(tensor, 16) if tensor.name == FILES else read_pixels(tensor, IMAGE, 16, deadline)


def peak_of(content: bytes) -> float:
    """The most memory that reading took, in copies of the body."""
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest):
            read(content, Deadline(60))
        return tracemalloc.get_traced_memory()[1] / len(content)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", BODIES)
def test_memory(name):
    assert peak_of(BODIES[name]) < MOST


def test_numbers_are_parsed_in_pieces_and_no_further_than_somebody_waits():
    count = 16 * 100 * 100 * 3
    content = body(b"[" + b"7,   " * (count - 1) + b"8]")
    pixels = read(content, Deadline(60))
    assert (pixels.shape, pixels.ravel()[:-1].min(), pixels.max(), pixels.ravel()[-1]) == ((16, 100, 100, 3), 7, 8, 8)
    deadline = Deadline(60)
    deadline.cancel()
    with pytest.raises(ClientLeft):
        read(content, deadline)
