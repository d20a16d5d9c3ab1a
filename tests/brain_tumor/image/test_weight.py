import pytest
from PIL import Image

from brain_tumor.image import pixels_to_decode
from tests.brain_tumor import images


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_the_size_stands_in_the_header(kind):
    assert pixels_to_decode(images.plain(size=(300, 200), kind=kind)) == 60_000


@pytest.mark.parametrize("kind", ["TIFF", "BMP"])
def test_a_large_file_of_other_formats_counts_as_a_large_image(kind):
    assert pixels_to_decode(images.encode(Image.new("RGB", (64, 64)), kind)) < 1_000_000
    assert pixels_to_decode(images.encode(Image.new("RGB", (2000, 2000)), kind)) > 4_000_000


def test_a_rare_format_costs_a_process():
    assert pixels_to_decode(images.encode(Image.new("RGB", (64, 64)), "JPEG2000")) > 5_000_000


@pytest.mark.parametrize("data", [b"", b"text", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n" + bytes(9)])
def test_what_is_no_whole_image_weighs_nothing(data):
    assert pixels_to_decode(data) == 0
