"""The preprocessing against Pillow and OpenCV; against TensorFlow and Keras: tests/training/data/test_libraries.py."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from brain_tumor.image import ImageTooLarge, decode
from brain_tumor.metadata import COLOR_MODES, NO_ANTIALIAS, RESAMPLINGS, ImageSpec
from brain_tumor.preprocess import Preprocessor
from brain_tumor.processes import ROOT
from tests.brain_tumor import images
from tests.processes import EXAMPLES

SCANS = sorted(EXAMPLES.glob("*.jpg"))
CROP = ImageSpec(24, 32, crop_to_head=True)


def notebook_crop(image: np.ndarray) -> np.ndarray:
    """What notebooks and preparation scripts do with an image of ``cv2.imread``, written the way they write it."""
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    gray = cv2.GaussianBlur(gray, (3, 3), 0)
    thresh = cv2.threshold(gray, 45, 255, cv2.THRESH_BINARY)[1]
    thresh = cv2.erode(thresh, None, iterations=2)
    thresh = cv2.dilate(thresh, None, iterations=2)
    contours = cv2.findContours(thresh.copy(), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    largest = max(contours, key=cv2.contourArea)
    left = tuple(largest[largest[:, :, 0].argmin()][0])
    right = tuple(largest[largest[:, :, 0].argmax()][0])
    top = tuple(largest[largest[:, :, 1].argmin()][0])
    bottom = tuple(largest[largest[:, :, 1].argmax()][0])
    return image[top[1] : bottom[1], left[0] : right[0]]


def as_opencv_reads(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def off_centre(scan: Image.Image) -> Image.Image:
    """A scan at the edge of a larger image, with a bright mark elsewhere and some colour."""
    image = Image.new("RGB", (300, 260), (9, 12, 7))
    image.paste(scan, (100, 68))
    ImageDraw.Draw(image).rectangle((5, 5, 40, 20), fill=(250, 200, 90))
    return image


def blank(*bright: tuple[int, int, int, int], size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A dark image with rectangles that the blur makes no larger; each left, top, right and bottom, all inclusive."""
    image = Image.new("RGB", size, (20, 20, 20))
    for box in bright:
        ImageDraw.Draw(image).rectangle(box, fill=(100, 100, 100))
    return image


@pytest.mark.parametrize("color_mode", COLOR_MODES)
@pytest.mark.parametrize("resampling", RESAMPLINGS)
@pytest.mark.parametrize("more", [{}, {"crop_to_head": True}, {"pad_to_aspect_ratio": True}], ids=str)
def test_grey_gives_what_the_same_image_in_colour_gives(color_mode, resampling, more):
    preprocessor = Preprocessor(ImageSpec(24, 32, resampling=resampling, color_mode=color_mode, **more))
    scan = Image.open(SCANS[0]).convert("L")
    for image in (scan, scan.resize((250, 97)), Image.fromarray(np.asarray(scan).astype(np.uint16) * 257)):
        grey = images.encode(image)
        grey, colour = (preprocessor.prepare(data, view_side=60) for data in (grey, images.encode(decode(grey))))
        np.testing.assert_array_equal(grey.batch, colour.batch)
        np.testing.assert_array_equal(np.asarray(grey.view), np.asarray(colour.view))


@pytest.mark.parametrize("resampling", [name for name in RESAMPLINGS if name != NO_ANTIALIAS])
def test_pillows_filters_resize_as_pillow_does(resampling):
    image = images.noise((64, 48))
    batch = Preprocessor(ImageSpec(24, 32, resampling)).from_bytes(images.encode(image))
    assert batch.shape == (1, 24, 32, 3)
    assert batch.dtype == np.uint8
    expected = np.asarray(image.resize((32, 24), Image.Resampling[resampling.upper()]))
    np.testing.assert_array_equal(batch[0], expected)


def test_bilinear_antialiases():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    batch = Preprocessor(ImageSpec(32, 32)).from_bytes(images.encode(Image.fromarray(stripes)))
    assert np.abs(batch.astype(int) - 127).max() <= 6  # nearest neighbours would give 0 and 255


def test_preprocessor_refuses_more_pixels_than_its_limit():
    with pytest.raises(ImageTooLarge):
        Preprocessor(ImageSpec(24, 32), max_pixels=100).from_bytes(images.plain())


def test_from_path_gives_the_same_pixels(tmp_path):
    path = tmp_path / "scan.png"
    path.write_bytes(images.GLIOMA)
    np.testing.assert_array_equal(
        Preprocessor(ImageSpec(24, 32)).from_path(path), Preprocessor(ImageSpec(24, 32)).from_bytes(images.GLIOMA)
    )


@pytest.mark.parametrize("size", [(24, 32), (96, 96), (299, 299), (47, 500)])
def test_no_antialiasing_is_what_opencv_does(size):
    for data in (SCANS[0].read_bytes(), images.encode(images.noise((201, 150)))):
        expected = cv2.resize(as_opencv_reads(data)[..., ::-1], size[::-1])
        batch = Preprocessor(ImageSpec(*size, NO_ANTIALIAS)).from_bytes(data)
        np.testing.assert_array_equal(batch[0], expected)


def test_grayscale_is_three_times_the_same():
    data = images.encode(images.noise((90, 70)))
    batch = Preprocessor(ImageSpec(24, 32, "nearest", "grayscale")).from_bytes(data)
    expected = np.asarray(decode(data).convert("L").resize((32, 24), Image.Resampling.NEAREST))
    assert batch.shape == (1, 24, 32, 3)
    for channel in range(3):
        np.testing.assert_array_equal(batch[0, ..., channel], expected)


def test_bgr_is_the_order_of_opencv():
    data = images.encode(images.noise((90, 70)))
    batch = Preprocessor(ImageSpec(24, 32, NO_ANTIALIAS, "bgr")).from_bytes(data)
    np.testing.assert_array_equal(batch[0], cv2.resize(as_opencv_reads(data), (32, 24)))


@pytest.mark.parametrize("path", SCANS, ids=lambda path: path.stem)
def test_the_crop_is_that_of_the_notebooks(path):
    for image in (decode(path.read_bytes()), off_centre(decode(path.read_bytes()))):
        data = images.encode(image)
        cropped = notebook_crop(as_opencv_reads(data))
        assert cropped.size < 0.9 * np.asarray(image).size
        np.testing.assert_array_equal(Preprocessor(CROP).framed(image), cropped[..., ::-1])
        spec = ImageSpec(60, 50, NO_ANTIALIAS, "bgr", crop_to_head=True)
        np.testing.assert_array_equal(Preprocessor(spec).from_bytes(data)[0], cv2.resize(cropped, (50, 60)))


@pytest.mark.parametrize(
    ("image", "size"),
    [
        (blank(), (64, 48)),
        (blank((30, 20, 30, 20)), (64, 48)),  # one pixel
        (blank((10, 10, 60, 13)), (64, 48)),  # a line of four pixels: the opening removes it
        (blank((10, 10, 14, 14)), (4, 4)),  # the smallest that it leaves
        (blank((0, 0, 63, 47)), (63, 47)),
        (blank((0, 0, 2, 2)), (2, 2)),  # in a corner the opening leaves less
        (blank((2, 2, 20, 20), (30, 2, 60, 40)), (30, 38)),
        (blank((4, 4, 11, 11), size=(16, 16)), (7, 7)),
    ],
)
def test_the_largest_contour_counts_and_without_one_there_is_no_crop(image, size):
    assert Preprocessor(CROP).framed(image).size == size
    assert Preprocessor(CROP).from_bytes(images.encode(image)).shape == (1, 24, 32, 3)


@pytest.mark.parametrize(
    ("size", "content", "corner"),
    [
        ((64, 48), (32, 24), (0, 4)),
        ((48, 64), (24, 32), (4, 0)),
        ((200, 200), (32, 32), (0, 0)),
        ((1000, 16), (32, 1), (0, 15)),
        ((16, 50_000), (1, 32), (15, 0)),
    ],
)
def test_padding_keeps_the_aspect(size, content, corner):
    preprocessor = Preprocessor(ImageSpec(32, 32, pad_to_aspect_ratio=True))
    batch = preprocessor.from_bytes(images.plain(200, 200, 200, size=size))
    expected = Image.new("RGB", (32, 32))
    expected.paste((200, 200, 200), (*corner, corner[0] + content[0], corner[1] + content[1]))
    np.testing.assert_array_equal(batch[0], expected)


def test_the_frame_shows_what_the_model_sees():
    preprocessor = Preprocessor(ImageSpec(30, 20, "bilinear", "grayscale", crop_to_head=True, pad_to_aspect_ratio=True))
    image = off_centre(decode(SCANS[0].read_bytes()))
    frame = preprocessor.framed(image)
    assert frame.height > 150
    assert frame.width / frame.height == pytest.approx(20 / 30, abs=0.01)
    seen = preprocessor.convert_to_tensor(image)[0].astype(float)
    small = np.asarray(frame.convert("L").resize((20, 30), Image.Resampling.BILINEAR))
    assert np.abs(seen[..., 0] - small).mean() < 3


def test_a_frame_takes_no_more_memory_than_the_largest_image():
    preprocessor = Preprocessor(ImageSpec(30, 20, pad_to_aspect_ratio=True), max_pixels=80_000)
    for size in ((5000, 16), (16, 5000), (16, 16)):
        frame = preprocessor.framed(Image.new("RGB", size))
        assert frame.width * frame.height <= 81_000
        assert frame.width / frame.height == pytest.approx(20 / 30, abs=0.05)


def test_speckles_take_bounded_memory():
    # In a process of its own: the peak of this one is already high. 262,144 contours, the most of the largest image.
    code = """
import resource, sys
import brain_tumor.opencv
from brain_tumor.metadata import ImageSpec
from brain_tumor.preprocess import Preprocessor
preprocessor = Preprocessor(ImageSpec(32, 32, "bilinear-no-antialias", "grayscale", True, True))
data = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
preprocessor.from_bytes(data)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    speckle = np.zeros((8, 8), np.uint8)
    speckle[:5, :5] = 255
    data = images.encode(Image.fromarray(np.tile(speckle, (512, 512))), compress_level=1)
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, input=data, capture_output=True, check=True)
    assert int(result.stdout) * 1024 < 18 * 4096 * 4096  # bytes a pixel, as GATEWAY_DECODERS says


def test_opencv_is_loaded_only_by_models_that_need_it():
    code = """
import sys
from brain_tumor.metadata import ImageSpec
from brain_tumor.preprocess import Preprocessor
Preprocessor(ImageSpec(8, 8, color_mode="grayscale", pad_to_aspect_ratio=True)).from_path(sys.argv[1])
assert "cv2" not in sys.modules
Preprocessor(ImageSpec(8, 8, crop_to_head=True)).from_path(sys.argv[1])
assert "cv2" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(SCANS[0])], cwd=ROOT, check=True, timeout=60)


@pytest.mark.parametrize("spec", [ImageSpec(30, 20), CROP, ImageSpec(24, 32, pad_to_aspect_ratio=True)])
def test_the_view_is_the_frame_made_smaller(spec):
    preprocessor = Preprocessor(spec)
    image = off_centre(decode(SCANS[0].read_bytes()))
    data = images.encode(image)
    prepared = preprocessor.prepare(data, view_side=64)
    frame = preprocessor.framed(image).copy()
    frame.thumbnail((64, 64))
    np.testing.assert_array_equal(np.asarray(prepared.view), np.asarray(frame))
    np.testing.assert_array_equal(prepared.batch, preprocessor.from_bytes(data))
    np.testing.assert_array_equal(prepared.batch, preprocessor.convert_to_tensor(image))
    assert preprocessor.prepare(data).view is None
    assert prepared.size == max(image.size)


def test_the_page_is_passed_on():
    preprocessor = Preprocessor(ImageSpec(24, 32))
    data = images.animated_gif()
    assert preprocessor.from_bytes(data, page=2)[0, 5, 5].tolist() == [0, 255, 0]
    assert preprocessor.prepare(data, 3, view_side=20).batch[0, 5, 5].tolist() == [0, 0, 255]


SECOND = [
    ImageSpec(24, 32),
    ImageSpec(40, 30, "nearest", "grayscale"),
    ImageSpec(16, 16, "lanczos", "bgr", pad_to_aspect_ratio=True),
    ImageSpec(24, 32, NO_ANTIALIAS, crop_to_head=True),
]


@pytest.mark.parametrize("data", [SCANS[0].read_bytes(), images.encode(images.noise((90, 70)))], ids=["grey", "colour"])
@pytest.mark.parametrize("second", SECOND, ids=str)
@pytest.mark.parametrize("first", SECOND, ids=str)
def test_two_models_share_the_pixels_that_were_decoded(first, second, data):
    prepared = Preprocessor(first).prepare(data, other=Preprocessor(second))
    np.testing.assert_array_equal(prepared.batch, Preprocessor(first).from_bytes(data))
    np.testing.assert_array_equal(prepared.other, Preprocessor(second).from_bytes(data))


@pytest.mark.parametrize(
    ("second", "is_shared"),
    [
        (ImageSpec(24, 32), True),
        (ImageSpec(12, 16), True),
        (ImageSpec(24, 32, "bicubic"), False),
        (ImageSpec(48, 32), False),
        (CROP, False),
    ],
    ids=str,
)
def test_half_a_jpeg_is_shared_only_where_it_is_enough(second, is_shared):
    data = images.plain(size=(600, 600), kind="JPEG")
    prepared = Preprocessor(ImageSpec(24, 32), max_pixels=100_000).prepare(
        data, other=Preprocessor(second, max_pixels=100_000)
    )
    assert (prepared.other is not None) is is_shared


def test_a_jpeg_that_was_read_whole_is_shared_always():
    data = images.plain(size=(150, 150), kind="JPEG")
    prepared = Preprocessor(ImageSpec(24, 32), max_pixels=100_000).prepare(
        data, other=Preprocessor(CROP, max_pixels=100_000)
    )
    assert prepared.other.shape == (1, 24, 32, 3)


def test_no_second_model_costs_nothing():
    assert Preprocessor(ImageSpec(24, 32)).prepare(images.GLIOMA).other is None


def test_a_second_model_that_fails_costs_the_first_nothing(monkeypatch):
    second = Preprocessor(CROP)
    monkeypatch.setattr(second, "image_to_array", lambda image: 1 / 0)
    prepared = Preprocessor(ImageSpec(24, 32)).prepare(images.GLIOMA, other=second)
    assert (prepared.batch.shape, prepared.other) == ((1, 24, 32, 3), None)
