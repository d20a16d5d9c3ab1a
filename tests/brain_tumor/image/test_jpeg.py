import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from PIL.JpegImagePlugin import JpegImageFile

from brain_tumor.image import BrokenImage, ImageTooLarge, NoSuchPage, UnknownImageType, decode, read_image
from brain_tumor.metadata import ImageSpec
from brain_tumor.preprocess import Preprocessor
from tests.brain_tumor import images

SIDE = 1536  # of a test's large photo; eight times 96 pixels is half of it
SPEC = ImageSpec(96, 96)


def jpeg(image: Image.Image, **options: object) -> bytes:
    return images.encode(image, "JPEG", **options)


def plain_pillow(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def photo(side: int = SIDE) -> Image.Image:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    waves = 120 + 80 * np.sin(x / 37 + y / 53) + 20 * np.cos(x / 5.3)
    noise = np.random.default_rng(0).normal(0, 8, (side, side, 3))
    return Image.fromarray((waves[..., np.newaxis] * (1, 0.8, 0.6) + noise).clip(0, 255).astype(np.uint8))


def film(side: int = SIDE) -> Image.Image:
    """A head as on a film: a bright ring with hard edges on black."""
    image = Image.new("L", (side, side), 4)
    draw = ImageDraw.Draw(image)
    draw.ellipse((side // 6, side // 8, side - side // 6, side - side // 8), fill=90, outline=235, width=side // 40)
    draw.ellipse((side // 2, side // 3, side // 2 + side // 9, side // 3 + side // 9), fill=200)
    return image


@pytest.mark.parametrize(
    "extra", [b"\xff\xda" * 5_000_000, b"\xff\xe1\0\x08Exif\0\0" * 1_000_000], ids=["scans", "exif"]
)
def test_what_follows_the_end_marker_is_no_part_of_the_image(extra):
    data = jpeg(images.noise())
    np.testing.assert_array_equal(np.asarray(decode(data + extra)), plain_pillow(data))


def test_a_segment_that_looks_like_markers_is_skipped():
    data = jpeg(images.noise())
    segment = b"\xff\xe2\xff\xfe" + b"\xff\xda" * 0x7FFE
    np.testing.assert_array_equal(np.asarray(decode(data[:2] + segment + data[2:])), plain_pillow(data))


@pytest.mark.parametrize("marker", [b"\xff\xd8", b"\xff\xe2\0\2"])
def test_a_million_markers_are_not_walked(marker):
    data = jpeg(images.noise())
    with pytest.raises(BrokenImage):
        decode(data[:2] + marker * 5_000_000 + data[2:])


def test_a_depth_map_in_many_segments_is_no_damage():
    data = jpeg(images.noise())
    segment = b"\xff\xe1\xff\xf0http://ns.adobe.com/xmp/extension/\0".ljust(0xFFF2, b"x")
    np.testing.assert_array_equal(np.asarray(decode(data[:2] + segment * 150 + data[2:])), plain_pillow(data))


def test_damage_in_further_images_is_none_of_the_first():
    first, second = images.noise(), images.noise().rotate(180)
    data = images.encode(first, "MPO", save_all=True, append_images=[second])
    expected = plain_pillow(data)
    for damaged in (data, data[: data.index(b"\xff\xd9") + 2], data.replace(b"MPF\0II", b"MPF\0XX")):
        np.testing.assert_array_equal(np.asarray(decode(damaged)), expected)
    with pytest.raises(NoSuchPage, match="one page"):
        decode(data, page=2)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-2000], lambda data: data[:300], lambda data: data[:2] + data[-2:]]
)
def test_a_truncated_file_is_damaged(damage):
    with pytest.raises(BrokenImage):
        decode(damage(jpeg(images.noise())))


def test_a_hierarchical_file_is_named():
    with pytest.raises(UnknownImageType, match="hierarchical"):
        decode(jpeg(images.noise()).replace(b"\xff\xc0", b"\xff\xc5"))


@pytest.mark.parametrize("resampling", ["bilinear", "bicubic", "lanczos", "hamming"])
@pytest.mark.parametrize(
    ("image", "options"),
    [
        (photo(), {"quality": 95, "subsampling": 0}),
        (photo(), {"quality": 75}),
        (film(), {"quality": 90}),
        (film().convert("RGB"), {"quality": 75}),
    ],
    ids=["photo-95", "photo-75", "film-90", "film-75"],
)
def test_a_large_photo_at_half_its_size_gives_the_same_input(image, options, resampling):
    side = {"bilinear": 96, "hamming": 64}.get(resampling, 76)
    spec = ImageSpec(side, side, resampling)
    data = jpeg(image, **options)
    whole = Preprocessor(spec, max_pixels=SIDE * SIDE).from_bytes(data)
    half = Preprocessor(spec, max_pixels=SIDE * SIDE // 4).from_bytes(data)
    assert (whole != half).any()  # it was read at half its size
    assert np.abs(whole.astype(int) - half).max() <= 1


@pytest.mark.parametrize("side", [SIDE - 1, SIDE + 1])
def test_half_of_an_odd_side_gives_the_same_input(side):
    spec, pixels = ImageSpec(95, 95), ((side + 1) // 2) ** 2
    for image, options in ((photo(side), {"quality": 95, "subsampling": 0}), (film(side), {"quality": 90})):
        data = jpeg(image, **options)
        whole = Preprocessor(spec).from_bytes(data)
        assert np.abs(whole.astype(int) - Preprocessor(spec, max_pixels=pixels).from_bytes(data)).max() <= 1
        assert read_image(data, pixels, half_side=760).image.size == ((side + 1) // 2, (side + 1) // 2)


def test_half_the_size_is_read_only_where_it_is_enough():
    data = jpeg(film())
    half = SIDE * SIDE // 4
    for spec in (
        ImageSpec(97, 97),
        ImageSpec(96, 97),
        ImageSpec(32, 32, "nearest"),
        ImageSpec(32, 32, "box"),
        ImageSpec(32, 32, "bilinear-no-antialias"),
        ImageSpec(32, 32, crop_to_head=True),
    ):
        with pytest.raises(ImageTooLarge):
            Preprocessor(spec, max_pixels=half).from_bytes(data)
    for max_pixels, content in (
        (half - 1, data),
        (half, jpeg(film(), progressive=True)),
        (half, images.encode(film())),
    ):
        with pytest.raises(ImageTooLarge):
            Preprocessor(SPEC, max_pixels=max_pixels).from_bytes(content)


def test_an_ordinary_image_is_read_whole():
    data = jpeg(photo(512), quality=90)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((96, 96), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(Preprocessor(SPEC).from_bytes(data)[0], expected)
    assert isinstance(decode(data), JpegImageFile)  # not a copy
