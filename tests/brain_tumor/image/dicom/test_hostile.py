"""Files that lie: a clear error within a second, and the process is ready for the next."""

import random
import struct
import time
import zlib

import numpy as np
import pytest

from brain_tumor.image import BrokenImage, ImageError, ImageTooLarge, UnknownImageType, read_image
from tests.brain_tumor.dicom_files import RAMP, element, encode, file_of, fragments, numbers, scan

DEFLATED, RLE, JPEG_2000, JPEG, JPEG_LS = (
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.80",
)
ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
SEQUENCE = struct.pack("<HH2sHI", 0x0008, 0x2218, b"SQ", 0, 0xFFFFFFFF)
SHARED = struct.pack("<HH2sHI", 0x5200, 0x9229, b"SQ", 0, 0xFFFFFFFF)
PER_FRAME = struct.pack("<HH2sHI", 0x5200, 0x9230, b"SQ", 0, 0xFFFFFFFF)
ENDS = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
PIXELS = element(0x7FE0_0010, b"OW", RAMP.tobytes())


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def jpeg_2000_size(width: int, height: int) -> bytes:
    sizes = struct.pack(">HIIIIIIIIH", 0, width, height, 0, 0, width, height, 0, 0, 1)
    return b"\xff\x4f\xff\x51" + struct.pack(">H", 41) + sizes + b"\x0f\x01\x01"


def run_lengths(count: int) -> bytes:
    return struct.pack("<16I", 2, 64, 64 + count * 2, *[0] * 13) + b"\x81\0" * count * 2


HOSTILE = {
    "sequences in sequences": (file_of((SEQUENCE + ITEM) * 500_000), BrokenImage),
    "sequences in sequences that end": (
        file_of((SEQUENCE + ITEM) * 5000 + ENDS * 5000, numbers(), PIXELS),
        BrokenImage,
    ),
    "a million items": (file_of(SEQUENCE + (ITEM + ENDS[:8]) * 1_000_000), UnknownImageType),
    "a million elements": (
        file_of(b"".join(struct.pack("<HH2sH", 9, index & 0xFFFF, b"LO", 0) for index in range(1_000_000))),
        UnknownImageType,
    ),
    "a million shared elements": (
        file_of(SHARED + ITEM + element(0x0008_0060, b"CS", b"MR") * 250_000 + ENDS, numbers(), PIXELS),
        UnknownImageType,
    ),
    "sixty thousand shared items": (
        file_of(SHARED + (ITEM + ENDS[:8]) * 60_000 + ENDS[8:], numbers(), PIXELS),
        UnknownImageType,
    ),
    "a million fragments": (file_of(numbers(), fragments(*[b""] * 1_000_000), syntax=RLE), UnknownImageType),
    "an item longer than the file": (
        file_of(PER_FRAME + struct.pack("<HHI", 0xFFFE, 0xE000, 0x7FFFFFFF), numbers(), PIXELS),
        BrokenImage,
    ),
    "an element longer than the file": (file_of(numbers(), PIXELS[:8] + b"\xf0\xff\xff\xff" + bytes(99)), BrokenImage),
    "deflated beyond all bounds": (file_of(deflated(bytes(400 << 20)), syntax=DEFLATED), ImageTooLarge),
    "deflated rubbish": (file_of(b"\xff" * 1000, syntax=DEFLATED), BrokenImage),
    "huge": (file_of(numbers(65_535, 65_535), PIXELS), ImageTooLarge),
    "more pixels than there are": (file_of(numbers(4000, 4000), PIXELS), BrokenImage),
    "no rows": (file_of(numbers(rows=0), PIXELS), BrokenImage),
    "no elements about pixels": (file_of(PIXELS), BrokenImage),
    "no pixels": (file_of(numbers()), BrokenImage),
    "nothing": (file_of(), UnknownImageType),
    "thirteen bits": (file_of(numbers(bits=13), PIXELS), BrokenImage),
    "no fragments": (file_of(numbers(), fragments(), syntax=RLE), BrokenImage),
    "fragments without end": (file_of(numbers(), fragments(b"ab" * 9, end=False), syntax=RLE), BrokenImage),
    "a fragment longer than the file": (
        file_of(numbers(), fragments()[:-8] + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFF) + bytes(9), syntax=RLE),
        BrokenImage,
    ),
    "run lengths of more than is said": (
        file_of(numbers(), fragments(run_lengths(1_000_000)), syntax=RLE),
        BrokenImage,
    ),
    "JPEG 2000 of another size": (
        file_of(numbers(), fragments(jpeg_2000_size(60_000, 60_000)), syntax=JPEG_2000),
        BrokenImage,
    ),
    "JPEG 2000 without content": (
        file_of(numbers(4000, 2000), fragments(jpeg_2000_size(2000, 4000)), syntax=JPEG_2000),
        BrokenImage,
    ),
    "JPEG that is none": (file_of(numbers(bits=8), fragments(b"\xff\xd8" + bytes(99)), syntax=JPEG), BrokenImage),
    "JPEG-LS that is none": (file_of(numbers(), fragments(b"\xff\xd8" * 50), syntax=JPEG_LS), BrokenImage),
    "a video": (file_of(numbers(), fragments(b"ab"), syntax="1.2.840.10008.1.2.4.102"), UnknownImageType),
    "a compression of its own": (file_of(numbers(), fragments(b"ab"), syntax="1.2.3"), UnknownImageType),
    "a transfer syntax that is none": (file_of(numbers(), PIXELS, syntax="x" * 200), UnknownImageType),
}
USUAL = encode(scan())


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file(name):
    data, expected = HOSTILE[name]
    assert len(data) <= 24 << 20
    read_image(USUAL)  # the process has started
    start = time.process_time()
    with pytest.raises(expected) as caught:
        read_image(data)
    assert type(caught.value) is expected
    assert time.process_time() - start < 1  # of this process; the other one's limits are its own
    assert read_image(USUAL).facts.dicom.modality == "MR"


def test_any_part_of_a_file_is_an_error_or_an_image():
    for length in [*range(130, 700, 23), *range(700, len(USUAL), 400)]:
        try:
            read_image(USUAL[:length])
        except ImageError as error:
            assert len(str(error)) > 20


def test_damage_of_any_kind_is_an_error_or_an_image():
    chance = random.Random(1)
    compressed = scan()
    compressed.compress(RLE)
    for original in (USUAL, encode(compressed)):
        for _ in range(40):
            data = bytearray(original)
            for position in chance.sample(range(132, 900), 4):
                data[position] = chance.randrange(256)
            try:
                assert read_image(bytes(data)).image.mode == "RGB"
            except ImageError as error:
                assert len(str(error)) > 20


def test_a_large_file_of_many_frames():
    frames = np.zeros((77, 512, 256), np.uint16)
    frames[38] = np.arange(512 * 256).reshape(512, 256) // 4
    data = encode(scan(frames))
    assert 19 << 20 < len(data) < 20 << 20
    assert np.asarray(read_image(data).image).max() == 255
