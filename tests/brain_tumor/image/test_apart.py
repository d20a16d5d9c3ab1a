"""The rarer formats: files/ holds what imagecodecs wrote (libjpeg-turbo, CharLS, OpenJPEG, libjxl)."""

import contextlib
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from brain_tumor.image import (
    BrokenImage,
    ImageTooLarge,
    NoSuchPage,
    UnknownImageType,
    Wanted,
    apart,
    decode,
    read_image,
)
from brain_tumor.image.fork_server import ForkServer, OneProcessEach
from brain_tumor.processes import ROOT
from tests.brain_tumor import images
from tests.brain_tumor.samples import COLOUR, GREY, difference, windowed

FILES = Path(__file__).with_name("files")
EIGHT = COLOUR // 16
LARGEST = {  # difference of a pixel: these formats are lossless, or nearly so
    "12-bit.jpg": (windowed(GREY), 1),
    "12-bit-colour.jpg": (windowed(COLOUR), 3),
    "lossless-8-bit.jpg": (EIGHT, 0),
    "lossless-16-bit.jpg": (windowed(GREY), 0),
    "12-bit.jls": (windowed(GREY), 0),
    "colour.jls": (EIGHT, 0),
    "16-bit.jxl": (windowed(GREY), 0),
    "colour.jxl": (EIGHT, 0),
    "16-bit.jp2": (windowed(GREY), 0),
    "16-bit.j2k": (windowed(GREY), 0),
}


def sequence(kind: str) -> bytes:
    pillow_heif.register_heif_opener()
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "lime", "blue")]
    return images.encode(frames[0], kind, save_all=True, append_images=frames[1:], quality=90)


@pytest.mark.parametrize("name", LARGEST)
def test_pixels(name):
    expected, largest = LARGEST[name]
    assert difference((FILES / name).read_bytes(), expected) <= largest


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_a_sequence(kind):
    data = sequence(kind)
    for page, channel in ((None, 0), (1, 0), (2, 1), (3, 2)):
        pixel = np.asarray(decode(data, page=page))[20, 20].astype(int)
        assert pixel[channel] > 240
        assert pixel.sum() < 270
    with pytest.raises(NoSuchPage, match="3 pages"):
        decode(data, page=4)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_orientation_is_applied_once(kind):
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (64, 48))
    image.paste("white", (0, 0, 16, 48))  # left; at the top, once turned
    array = np.asarray(decode(images.encode(image, kind, exif=exif.tobytes())))
    assert array.shape == (64, 48, 3)
    assert array[:12].min() > 200
    assert array[20:].max() < 50


@pytest.mark.parametrize("name", ["16-bit-colour.jxl", "16-bit-colour.jp2"])
def test_what_a_decoder_would_reduce_is_named(name):
    with pytest.raises(UnknownImageType, match=r"JPEG (XL|2000) image"):
        decode((FILES / name).read_bytes())


@pytest.mark.parametrize("name", LARGEST)
def test_the_limit_of_pixels_comes_first(name):
    times = 2 if name.endswith((".jls", ".jp2", ".j2k")) else 1
    with pytest.raises(ImageTooLarge):
        decode((FILES / name).read_bytes(), max_pixels=times * GREY.size - 1)


@pytest.mark.parametrize("name", ["12-bit.jpg", "12-bit.jls", "colour.jxl", "16-bit.jp2"])
def test_a_truncated_file_is_damaged(name):
    data = (FILES / name).read_bytes()
    with pytest.raises(BrokenImage):
        decode(data[: len(data) // 2])


def test_damage_of_any_kind_is_an_error_or_an_image():
    chance = random.Random(1)
    for name in ("12-bit.jpg", "colour.jls", "colour.jxl", "16-bit.j2k"):
        for _ in range(2):
            data = bytearray((FILES / name).read_bytes())
            for position in chance.sample(range(20, len(data)), 5):
                data[position] = chance.randrange(256)
            with contextlib.suppress(BrokenImage, ImageTooLarge, UnknownImageType):
                assert decode(bytes(data)).mode == "RGB"


PROGRAM = """
import sys
sys.path.insert(0, {root!r})
from brain_tumor.image.fork_loop import serve
def task(arguments, source, target):
    {code}
serve(int(sys.argv[1]), task)
"""


@pytest.fixture
def run_instead(monkeypatch, tmp_path):
    """A function that lets a process run some code in the decoders' place."""
    servers = []

    def run(code: str) -> None:
        program = tmp_path / "program.py"
        program.write_text(PROGRAM.format(root=str(ROOT), code=code))
        servers.append(ForkServer(program))
        monkeypatch.setattr(apart, "_runner", servers[-1])

    yield run
    for server in servers:
        server.close()


@pytest.mark.skipif(sys.platform != "linux", reason="needs forks")
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import os; os.abort()", BrokenImage),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", ImageTooLarge),
        ("import time; time.sleep(60)", ImageTooLarge),
        ('target.write(b\'{"kind": "broken"}\\n\')', BrokenImage),
        ("raise MemoryError", BrokenImage),
        ('target.write(b\'{"kind": "refused", "error": "Path", "message": ""}\\n\')', BrokenImage),
    ],
)
def test_the_end_of_the_process_costs_one_image(monkeypatch, run_instead, code, expected):
    run_instead(code)
    monkeypatch.setattr(apart, "_SECONDS", 1 if "sleep" in code else 30)
    with pytest.raises(expected):
        decode((FILES / "colour.jls").read_bytes())


@pytest.mark.skipif(sys.platform != "linux", reason="needs forks")
def test_the_process_ends_when_the_image_is_not_wanted(run_instead):
    run_instead("import time; time.sleep(60)")

    @contextlib.contextmanager
    def nobody(end):
        end()
        yield

    data = (FILES / "colour.jls").read_bytes()
    with pytest.raises(ImageTooLarge):
        read_image(data, wanted=Wanted(seconds=0.2))
    with pytest.raises(BrokenImage):
        read_image(data, wanted=Wanted(while_wanted=nobody))


def test_where_there_is_no_fork_each_image_has_a_process(monkeypatch):
    monkeypatch.setattr(apart, "_runner", OneProcessEach(apart._PROGRAM))
    assert difference((FILES / "colour.jls").read_bytes(), EIGHT) == 0
    with pytest.raises(BrokenImage):
        decode((FILES / "colour.jxl").read_bytes()[:300])
    with pytest.raises(ImageTooLarge):
        read_image((FILES / "colour.jls").read_bytes(), wanted=Wanted(seconds=0.001))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel must count a process's memory")
def test_the_process_has_little_memory_and_time():
    code = """
import resource, sys
sys.path.insert(0, "brain_tumor/image")
import apart_program
apart_program.limit(100 << 20, 1)
try:
    bytearray(200 << 20)
except MemoryError:
    print("refused", flush=True)
while True:
    pass
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "refused\n"
    assert done.returncode == -signal.SIGXCPU
