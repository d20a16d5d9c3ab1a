import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brain_tumor.image import decode
from brain_tumor.image.strips import array_of, strips
from brain_tumor.processes import ROOT
from tests.brain_tumor import images
from tests.brain_tumor.image.test_png import sixteen_bits
from tests.brain_tumor.samples import tiff

SIDE = 2048  # of more pixels, the window looks at a part only
GREY = np.arange(SIDE * SIDE, dtype=np.uint32).reshape(SIDE, SIDE) // 64


@pytest.mark.parametrize("size", [(3, 5), (5_000, 500), (3_000_000, 2)])
def test_strips_are_the_whole_image(size: tuple[int, int]) -> None:
    image = Image.effect_noise(size, 50)
    boxes = list(strips(size))
    assert [box[1] for box in boxes] == [0, *(box[3] for box in boxes[:-1])]
    np.testing.assert_array_equal(array_of(image), np.asarray(image))


def test_transparency_is_applied_in_every_strip() -> None:
    image = Image.merge("RGBA", [Image.effect_noise((1200, 1000), 90) for _ in range(4)])
    expected = Image.new("RGB", image.size)
    expected.paste(image.convert("RGB"), mask=image.getchannel("A"))
    np.testing.assert_array_equal(np.asarray(decode(images.encode(image, compress_level=1))), np.asarray(expected))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel must tell a process's peak of memory")
def test_the_kinds_that_take_most_memory_take_what_the_settings_say(tmp_path: Path) -> None:
    # In a process of its own; not by getrusage, whose peak begins with that of the process which started it.
    code = """
import re, sys
from pathlib import Path
from brain_tumor.image import decode
from tests.brain_tumor import images
decode(images.plain()), decode(images.plain(kind="WEBP")), decode(images.float_with_nan())
memory = lambda name: int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
for path in sys.argv[1:]:
    data = Path(path).read_bytes()
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    decode(data)
    print(memory("VmHWM") - before)
"""
    pixels = np.repeat(GREY.astype(np.uint16)[..., np.newaxis], 4, axis=-1)
    transparent = Image.new("RGBA", (SIDE, SIDE), (90, 80, 70, 60))
    files = {
        "webp": images.encode(transparent, "WEBP", lossless=True, quality=0, method=0),
        "png": sixteen_bits(pixels),
        "tiff": tiff(GREY.astype(np.float64)),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    paths = [str(tmp_path / name) for name in files]
    result = subprocess.run([sys.executable, "-c", code, *paths], cwd=ROOT, capture_output=True, check=True)
    for data, peak in zip(files.values(), result.stdout.split(), strict=True):
        assert int(peak) * 1024 < 18 * SIDE * SIDE + len(data)  # bytes a pixel, as GATEWAY_DECODERS says
