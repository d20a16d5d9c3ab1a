import struct
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from brain_tumor.image import ImageTooLarge, NoSuchPage, UnusableImage, decode
from brain_tumor.processes import ROOT
from tests.brain_tumor import images


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(decode(data))


@pytest.mark.parametrize("name", images.BAD)
def test_bad_image_is_refused_for_what_it_is(name):
    data, expected = images.BAD[name]
    with pytest.raises(expected) as caught:
        decode(data)
    assert type(caught.value) is expected
    assert len(str(caught.value)) > 20


@pytest.mark.parametrize("name", images.ODD)
def test_odd_image_becomes_rgb(name):
    array = pixels(images.ODD[name])
    assert array.dtype == np.uint8
    assert array.ndim == 3
    assert array.shape[2] == 3
    assert array.std() > 0 or name in ("cmyk", "animated_gif")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_format_is_decoded(kind):
    image = images.noise()
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    array = pixels(images.encode(image, kind, **options))
    assert array.shape == (48, 64, 3)
    assert np.abs(array.mean(axis=(0, 1)) - np.asarray(image).mean(axis=(0, 1))).max() < 12


def test_sixteen_bit_keeps_its_grey_levels():
    row = pixels(images.sixteen_bit())[0, :, 0].astype(int)
    assert row[0] == 0
    assert row[-1] == 255
    assert len(set(row)) > 55
    assert (np.diff(row) >= 0).all()


def test_sixteen_bit_bright_spot_on_flat_ground_is_seen():
    values = np.full((64, 64), 1000, np.uint16)
    values[30, 30] = 1300
    array = pixels(images.encode(Image.fromarray(values)))
    assert array[30, 30, 0] == 255
    assert array[0, 0, 0] == 0


def test_flat_sixteen_bit_is_black_and_not_an_error():
    assert pixels(images.encode(Image.fromarray(np.full((32, 32), 7, np.uint16)))).max() == 0


@pytest.mark.parametrize("values", [(-3e38, 3e38), (0.0, 1e-44), (-3e38, -1e-44)])
def test_extreme_float_values_neither_overflow_nor_vanish(values):
    halves = np.repeat(np.array(values, np.float32), 32)  # (64,)
    array = pixels(images.encode(Image.fromarray(np.tile(halves, (64, 1))), "TIFF"))
    assert array[:, :32].max() == 0
    assert array[:, 32:].min() == 255


def test_float_image_with_nan_is_windowed_over_its_finite_values():
    array = pixels(images.float_with_nan())
    assert array[0].max() == 0  # NaN becomes black
    assert array.min() == 0
    assert array.max() == 255


def test_a_few_very_bright_pixels_do_not_darken_the_rest():
    values = np.linspace(0, 1000, 10_000).reshape(100, 100).astype(np.uint16)
    values[0, :20] = 65_535
    assert np.median(pixels(images.encode(Image.fromarray(values)))) == pytest.approx(127, abs=3)


def test_exif_orientation_is_applied():
    array = pixels(images.exif_rotated())
    assert array.shape == (60, 40, 3)
    assert array[:15].mean() > 240
    assert array[30:].mean() < 15


def test_damaged_exif_does_not_matter():
    data = images.encode(images.noise(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert pixels(data).shape == (48, 64, 3)


def test_transparency_lies_over_black():
    array = pixels(images.palette_with_alpha())
    assert array[:, :18].min() > 200
    assert array[:, 22:].max() == 0


def test_first_frame_of_an_animation():
    assert pixels(images.animated_gif())[5, 5].tolist() == [255, 0, 0]


def test_cmyk():
    red, green, blue = pixels(images.ODD["cmyk"])[5, 5]
    assert red > 200
    assert green < 60
    assert blue < 60


def test_limit_of_pixels_is_exact():
    data = images.plain(size=(64, 48))
    decode(data, max_pixels=64 * 48)
    with pytest.raises(ImageTooLarge, match="3,071 pixels"):
        decode(data, max_pixels=64 * 48 - 1)


def test_smallest_side_is_exact():
    decode(images.plain(size=(16, 16)))
    with pytest.raises(UnusableImage, match="15x16"):
        decode(images.plain(size=(15, 16)))


def test_a_file_that_claims_to_be_another_kind_by_name_is_read_by_its_content():
    # PPM, which Pillow reads but FORMATS does not list.
    data = b"P6 32 32 255\n" + bytes(32 * 32 * 3)
    with pytest.raises(ValueError, match="Netpbm image"):
        decode(data)


def test_bombs_take_little_memory():
    # In a process of its own: the peak of this one is already high.
    code = """
import resource
from brain_tumor.image import ImageError, decode
from tests.brain_tumor import images
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in ("bomb", "huge_sides", "huge_gif_frame", "huge_tiff_tile", "wide_tiff_tiles", "many_scans"):
    try:
        decode(images.BAD[name][0])
    except ImageError:
        pass
    else:
        raise SystemExit(name)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert int(result.stdout) < 50 * 1024  # KiB; the bomb's pixels alone would take 144 MB


def test_decoding_is_thread_safe():
    names = list(images.ODD) * 4
    expected = {name: pixels(data) for name, data in images.ODD.items()}
    barrier = threading.Barrier(8)

    def work(part: int) -> None:
        barrier.wait(10)
        for name in names[part::8]:
            np.testing.assert_array_equal(pixels(images.ODD[name]), expected[name])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_a_page_of_an_animation():
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "lime", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        data = images.encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
        for page, channel in ((None, 0), (1, 0), (2, 1), (3, 2)):
            pixel = np.asarray(decode(data, page=page))[5, 5]
            assert pixel.argmax() == channel
            assert pixel.max() > 250
        with pytest.raises(NoSuchPage, match=r"3 pages.* no page 4"):
            decode(data, page=4)
    for page in (0, -1, 2):
        with pytest.raises(NoSuchPage):
            decode(images.GLIOMA, page=page)


def test_a_far_page_of_an_animation_is_not_reached():
    data = images.animated_gif()
    screen = data[:6] + b"\x00\x10\x00\x10" + data[10:]  # 4096 x 4096
    with pytest.raises(NoSuchPage, match="takes too long"):
        decode(screen, page=10_000)


@pytest.mark.parametrize(("depth", "row", "expected"), [(1, 0x5555, [0, 0]), (2, 0x1B1B1B1B, [0, 85, 0, 255])])
def test_a_transparent_grey_level_of_few_bits(depth, row, expected):
    packed = zlib.compress((b"\0" + row.to_bytes(2 * depth, "big")) * 16)  # 0, 1, 0, 1, ... or 0, 1, 2, 3, ...
    data = images.png(16, 16, packed, depth)
    chunk = b"tRNS\0" + bytes([depth])  # the level 1 or 2
    start = data.index(b"IDAT") - 4
    data = data[:start] + struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[start:]
    assert pixels(data)[0, : len(expected), 0].tolist() == expected


def test_a_later_frame_that_is_larger_is_refused_before_it_is_decoded():
    data = images.animated_gif()
    place = b"," + struct.pack("<HHHH", 0, 0, 40, 40)
    second = data.index(place, data.index(place) + 1)
    data = data[:second] + b"," + struct.pack("<HHHH", 0, 0, 9000, 9000) + data[second + len(place) :]
    with pytest.raises(ImageTooLarge):
        decode(data, page=2)
