"""TIFF against a writer of its own, and against files that tifffile and imagecodecs wrote (files/)."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from brain_tumor.image import BrokenImage, ImageTooLarge, NoSuchPage, UnknownImageType, decode, read_image
from tests.brain_tumor import images
from tests.brain_tumor.samples import COLOUR, GREY, X, difference, tiff, windowed

FILES = Path(__file__).with_name("files")


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"])
def test_every_number_type_in_grey_and_colour(dtype, order, big):
    for values in (GREY, COLOUR):
        scaled = values // 32 if dtype == "i1" else values.astype(float) * (1e300 if dtype == "f8" else 1)
        scaled = (scaled - (60 if np.dtype(dtype).kind != "u" else 0)).astype(dtype)
        data = tiff(scaled, order=order, big=big)
        assert difference(data, windowed(scaled.astype(float))) <= 1
        if values is GREY:
            white = tiff(scaled, order=order, big=big, photometric=0)
            assert difference(white, 255 - windowed(scaled.astype(float))) <= 1


def test_large_whole_numbers_keep_their_differences():
    values = (2**40 + GREY.astype(np.int64)).astype(np.uint64)
    assert difference(tiff(values), windowed(GREY)) <= 1


def test_white_is_zero_at_eight_bits():
    grey = (GREY // 16).astype(np.uint8)
    assert difference(tiff(grey, photometric=0), 255 - np.repeat(grey[..., np.newaxis], 3, axis=-1)) == 0


@pytest.mark.parametrize("dtype", ["i1", "u2", "f4"])
def test_opacity_is_no_part_of_the_window(dtype):
    full = 1 if dtype == "f4" else np.iinfo(dtype).max
    opacity = np.where(X < 20, full, 0)
    colour = COLOUR // 32 if dtype == "i1" else COLOUR
    expected = windowed(colour.astype(float)) * (X < 20)[..., np.newaxis]
    assert difference(tiff(np.dstack([colour, opacity]).astype(dtype), t338=2), expected) <= 1
    grey = colour[..., 0]
    expected = windowed(grey.astype(float)) * (X < 20)[..., np.newaxis]
    assert difference(tiff(np.dstack([grey, opacity]).astype(dtype), photometric=1, t338=2), expected) <= 1


def test_orientation():
    assert difference(tiff(GREY, t274=6), np.rot90(windowed(GREY), -1)) == 0


@pytest.mark.parametrize("name", ["lzw-predictor.tif", "float-predictor-tiles.tif"])
def test_compression_and_predictors(name):
    assert difference((FILES / name).read_bytes(), windowed(COLOUR if "lzw" in name else GREY)) == 0


def test_pages():
    pages = [GREY, GREY.T.copy(), np.rot90(GREY, 2)]
    for big in (False, True):
        data = tiff(*pages, big=big)
        for page, values in enumerate(pages, 1):
            np.testing.assert_array_equal(np.asarray(decode(data, page=page)), windowed(values))
        np.testing.assert_array_equal(np.asarray(decode(data)), windowed(GREY))
        with pytest.raises(NoSuchPage, match="3 pages"):
            decode(data, page=4)
        facts = read_image(data, page=2).facts
        assert (facts.page, facts.pages) == (2, 3)
    eight = [(values // 16).astype(np.uint8) for values in pages]  # Pillow's own way
    np.testing.assert_array_equal(np.asarray(decode(tiff(*eight), page=3))[..., 0], eight[2])


def test_pages_in_a_circle_end():
    data = bytearray(tiff(GREY, GREY))
    data[-4:] = data[4:8]  # the second page is followed by the first
    with pytest.raises(NoSuchPage, match="2 pages"):
        decode(bytes(data), page=10_000)
    assert read_image(bytes(data)).facts.pages == 2


def test_a_damaged_page_is_no_reason_to_refuse_another():
    data = bytearray(tiff(GREY, GREY))
    (second,) = struct.unpack_from("<I", data, len(tiff(GREY)) - 4)
    struct.pack_into("<H", data, second, 0xFFFF)  # its number of entries
    assert read_image(bytes(data)).facts.pages == 1
    far = tiff(GREY, big=True)[:-8] + b"\xff" * 8  # further away than any file is long
    assert read_image(far).facts.pages == 1


def test_truncated_samples_are_damage():
    data = tiff(GREY)
    values = GREY.tobytes()
    with pytest.raises(BrokenImage):
        decode(data.replace(values, values[:100]))


def test_samples_of_many_bytes_are_too_large():
    with pytest.raises(ImageTooLarge, match="bytes of samples"):
        decode(tiff(COLOUR.astype(np.float64)), max_pixels=GREY.size)


def test_entries_that_share_their_bytes_are_not_copied_many_times():
    data = bytearray(tiff(GREY, **{f"t{tag}": 1 for tag in range(40_000, 40_100)}))
    for tag in range(40_000, 40_100):
        entry = data.index(struct.pack("<HHI", tag, 4, 1))
        struct.pack_into("<HHII", data, entry, tag, 1, len(data) - 8, 8)
    with pytest.raises(BrokenImage):
        decode(bytes(data))


@pytest.mark.parametrize(
    ("tags", "named"), [({"t50706": 1}, "raw photo"), ({"t258": 24}, "24"), ({"t259": 7777}, "7777")]
)
def test_a_kind_that_is_not_decoded_is_named(tags, named):
    with pytest.raises(UnknownImageType, match=named):
        decode(tiff(GREY, **tags))


def test_cielab():
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = Image.new("RGB", (40, 40), (200, 60, 30))
    image = ImageCms.buildTransform(*profiles, "RGB", "LAB").apply(image)
    assert difference(images.encode(image, "TIFF"), np.array([200, 60, 30])) <= 4
