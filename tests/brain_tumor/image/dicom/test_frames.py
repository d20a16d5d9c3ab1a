"""Files of several frames: which one is taken, and what belongs to it alone."""

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless, RLELossless

from brain_tumor.image import BrokenImage, NoSuchPage, Window, read_image
from tests.brain_tumor.dicom_files import HEIGHT, WIDTH, encode, file_of, fragments, numbers, scan

FRAMES = 5
VALUES = np.stack([np.full((HEIGHT, WIDTH), 10 * frame, np.uint8) for frame in range(1, FRAMES + 1)])
LEVELS = {"WindowCenter": "128", "WindowWidth": "256"}  # a value is its grey level


def level(data: bytes, frame: int | None = None) -> int:
    decoded = read_image(data, page=frame, keep_grey=True)
    (value,) = set(np.asarray(decoded.image).flat)
    return int(value)


@pytest.mark.parametrize(("count", "middle"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_the_middle_frame_is_taken(count, middle):
    data = encode(scan(VALUES[:count], **LEVELS))
    assert level(data) == 10 * middle
    decoded = read_image(data)
    assert (decoded.facts.dicom.frame, decoded.facts.dicom.frames) == (middle, count)


@pytest.mark.parametrize("frame", range(1, FRAMES + 1))
def test_a_frame(frame):
    data = encode(scan(VALUES, **LEVELS))
    assert level(data, frame) == 10 * frame
    assert read_image(data, page=frame).facts.dicom.frame == frame


def test_there_is_no_such_frame():
    with pytest.raises(NoSuchPage, match="5 frames: there is no frame 6"):
        read_image(encode(scan(VALUES)), page=6)
    with pytest.raises(NoSuchPage, match="one frame: there is no frame 2"):
        read_image(encode(scan(VALUES[0])), page=2)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_frames_of_a_compressed_file(syntax):
    data_set = scan(VALUES, **LEVELS)
    data_set.compress(syntax)
    data = encode(data_set)
    assert [level(data, frame) for frame in range(1, FRAMES + 1)] == [10, 20, 30, 40, 50]


def compressed(pixels: bytes) -> bytes:
    """The five frames as JPEG 2000, in pixel data that may lie."""
    data_set = scan(VALUES, **LEVELS)
    data_set.compress(JPEG2000Lossless)
    data_set.PixelData = pixels
    return encode(data_set)


def frames_of_jpeg_2000() -> list[bytes]:
    codes = []
    for values in VALUES:
        data_set = scan(values)
        data_set.compress(JPEG2000Lossless)
        code = data_set.PixelData[data_set.PixelData.index(b"\xff\x4f\xff\x51") :]
        codes.append(code[: code.rindex(b"\xff\xd9") + 2])
    return [code + b"\0" * (len(code) % 2) for code in codes]


@pytest.mark.parametrize(
    "table", [b"", b"\xff" * 20, bytes(20), bytes(4), b"\0\0\0\x7f" * 5, b"abc"], ids=lambda table: table.hex()[:8]
)
@pytest.mark.parametrize("pieces", [1, 3])
def test_a_table_of_offsets_may_lie(table, pieces):
    parts = []
    for code in frames_of_jpeg_2000():
        step = len(code) // pieces // 2 * 2
        parts += [code[step * index : step * (index + 1) if index < pieces - 1 else None] for index in range(pieces)]
    data = compressed(fragments(*parts, table=table)[12:])
    assert [level(data, frame) for frame in (1, 3, 5)] == [10, 30, 50]


def test_a_table_of_offsets_counts_where_nothing_else_tells():
    data_set = scan(VALUES, **LEVELS)
    data_set.compress(RLELossless)
    codes = list(generate_frames(data_set.PixelData, number_of_frames=FRAMES))
    data_set.PixelData = encapsulate(codes, fragments_per_frame=2)
    assert level(encode(data_set), 4) == 40


@pytest.mark.parametrize("count", [4, 6])
def test_fragments_that_are_not_as_many_as_frames(count):
    codes = (frames_of_jpeg_2000() * 2)[:count]
    with pytest.raises(BrokenImage):
        read_image(compressed(fragments(*codes)[12:]))


def group(**elements: object) -> Sequence:
    item = Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return Sequence([item])


def enhanced(*, undefined: bool) -> Dataset:
    """An enhanced MR image: the window is each frame's own, the rescale is that of all."""
    data_set = scan(VALUES, WindowCenter="1", WindowWidth="1")
    data_set.SharedFunctionalGroupsSequence = group(
        PixelValueTransformationSequence=group(RescaleSlope="2", RescaleIntercept="5", RescaleType="US")
    )
    own = []
    for frame in range(FRAMES):
        item = Dataset()
        item.FrameVOILUTSequence = group(WindowCenter=str(100 + frame), WindowWidth=str(200 + frame))
        item["FrameVOILUTSequence"].is_undefined_length = undefined
        item.is_undefined_length_sequence_item = undefined
        own.append(item)
    data_set.PerFrameFunctionalGroupsSequence = Sequence(own)
    data_set["PerFrameFunctionalGroupsSequence"].is_undefined_length = undefined
    return data_set


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("frame", [1, 4])
def test_a_frame_has_a_window_of_its_own(undefined, frame):
    decoded = read_image(encode(enhanced(undefined=undefined)), page=frame, keep_grey=True)
    center, width = 99.0 + frame, 199.0 + frame
    assert decoded.facts.dicom.window == Window("file", center, width, "LINEAR")
    expected = ((20 * frame + 5 - (center - 0.5)) / (width - 1) + 0.5) * 255
    assert abs(int(np.asarray(decoded.image)[0, 0]) - expected) <= 0.51


def test_sixty_thousand_frames():
    count = 60_000
    pixels = np.repeat((np.arange(count) % 251).astype(np.uint8), 16 * 16).tobytes()
    data_set = scan(np.zeros((2, 16, 16), np.uint8), NumberOfFrames=count, PixelData=pixels, **LEVELS)
    data = encode(data_set)
    assert level(data, 59_999) == 59_998 % 251
    assert level(data) == 30_000 % 251


@pytest.mark.parametrize("frames", [2, 60_000, 999_999])
def test_frames_that_are_not_there(frames):
    with pytest.raises(BrokenImage):
        read_image(file_of(numbers(bits=8, frames=frames), b"\xe0\x7f\x10\0OB\0\0\0\x05\0\0" + bytes(1280)))


@pytest.mark.parametrize("frames", [0, -1])
def test_a_count_of_frames_that_means_nothing_is_one(frames):
    data = file_of(numbers(bits=8, frames=frames), b"\xe0\x7f\x10\0OB\0\0\0\x05\0\0" + bytes(1280))
    assert read_image(data).facts.dicom.frames == 1
