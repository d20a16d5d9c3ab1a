"""pydicom's own test files (those inside its package), and files as DCMTK and highdicom write them."""

import re
import shutil
import subprocess
import warnings
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, convert_color_space
from pydicom.uid import (
    HTJ2K,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from brain_tumor.image import BrokenImage, UnknownImageType, UnusableImage, Window, read_image
from tests.brain_tumor.dicom_files import RAMP, encode, file_of, fragments, numbers, scan

FILES = Path(__file__).parents[1] / "files"
FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"
# Too small, or damaged on purpose; JPEG-lossy.dcm breaks the rules of JPEG, and only DCMTK and GDCM read it.
REFUSED = {
    "JPEG2000-embedded-sequence-delimiter.dcm": BrokenImage,
    "JPEG-lossy.dcm": BrokenImage,
    "MR_truncated.dcm": BrokenImage,
    "badVR.dcm": UnusableImage,  # its number of frames is "1A"
    "meta_missing_tsyntax.dcm": BrokenImage,
    "nested_priv_SQ.dcm": BrokenImage,
    "no_meta.dcm": UnknownImageType,
}


def data_of(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def has_pixels(path: Path) -> bool:
    data_set = pydicom.dcmread(path, force=True)
    return "PixelData" in data_set and "Rows" in data_set


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    NAMES = sorted(path.name for path in FOLDER.glob("*.dcm"))
    IMAGES = [name for name in NAMES if name not in REFUSED and has_pixels(FOLDER / name)]
OTHERS = sorted(set(NAMES) - set(IMAGES) - set(REFUSED))


def expected(name: str) -> np.ndarray:
    """What pydicom makes of the middle frame: RGB, or grey after all tables, in the range 0..255."""
    data_set = pydicom.dcmread(FOLDER / name, force=True)
    frames = int(data_set.get("NumberOfFrames", 1))
    pixels = pydicom.pixels.pixel_array(data_set, index=frames // 2)
    if data_set.PhotometricInterpretation == "PALETTE COLOR":
        return apply_color_lut(pixels, data_set) >> 8
    if data_set.SamplesPerPixel == 3:
        return pixels if pixels.max() < 256 else pixels / pixels.max() * 255
    values = apply_modality_lut(pixels, data_set).astype(np.float64)
    if "WindowCenter" in data_set:
        center, width = (
            float(value[0] if isinstance(value, pydicom.multival.MultiValue) else value)
            for value in (data_set.WindowCenter, data_set.WindowWidth)
        )
        low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    else:
        usable = values[pixels != data_set.get("PixelPaddingValue", 1 << 40)]
        low, high = np.percentile(usable, (0.5, 99.5), method="nearest")
    grey = np.clip((values - low) / max(high - low, 1e-9) * 255, 0, 255)
    if "PixelPaddingValue" in data_set:
        grey[pixels == data_set.PixelPaddingValue] = 0
    return 255 - grey if data_set.PhotometricInterpretation == "MONOCHROME1" else grey


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", IMAGES)
def test_an_image_of_pydicom(name):
    wanted = expected(name)
    if min(wanted.shape[:2]) < 16:
        with pytest.raises(UnusableImage, match="pixels"):
            read_image(data_of(name))
        return
    decoded = read_image(data_of(name), keep_grey=True)
    pixels = np.asarray(decoded.image).astype(float)
    assert pixels.shape == wanted.shape
    assert np.abs(pixels - wanted).mean() < 0.6
    # pydicom decodes JPEG with another decoder first, which enlarges the chroma otherwise.
    assert np.abs(pixels - wanted).max() <= (110 if re.search("jpeg|ybr|[+]cy|[+]eb", name.lower()) else 1)


@pytest.mark.parametrize("name", OTHERS)
def test_what_has_no_image_is_named(name):
    with pytest.raises(UnknownImageType, match=r"This is a .*\. (Send|Export) "):
        read_image(data_of(name))


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_damaged_is_refused(name):
    with pytest.raises(REFUSED[name]):
        read_image(data_of(name))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("test-SR.dcm", "report"),
        ("rtplan.dcm", "radiotherapy"),
        ("waveform_ecg.dcm", "waveforms"),
        ("dicomdirtests/DICOMDIR", "DICOMDIR"),
        ("zipMR.gz", "a DICOM file compressed with gzip"),
    ],
)
def test_what_it_is_instead(name, what):
    with pytest.raises(UnknownImageType, match=what):
        read_image(data_of(name))


def window() -> pydicom.Dataset:
    return scan(WindowCenter="2000", WindowWidth="3000")


def grey(data: bytes) -> np.ndarray:
    return np.asarray(read_image(data, keep_grey=True).image).astype(int)


PLAIN = np.rint(np.clip((RAMP - 500.0) / 2999 * 255, 0, 255))


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_a_compression(syntax):
    data_set = window()
    data_set.compress(syntax)
    assert np.abs(grey(encode(data_set)) - PLAIN).max() <= 1


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
def test_high_throughput_jpeg_2000(syntax):
    code = (FILES / "16-bit-high-throughput.j2c").read_bytes()  # RAMP, as imagecodecs (OpenJPH) wrote it
    decoded = read_image(file_of(numbers(), fragments(code), syntax=syntax), keep_grey=True)
    assert decoded.facts.dicom.window == Window("percentiles", 2018.5, 3801.0, "LINEAR_EXACT")
    assert np.abs(np.asarray(decoded.image) - np.clip((RAMP - 118.0) / 3801 * 255, 0, 255)).max() <= 0.51


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("preamble", [True, False])
def test_an_encoding(syntax, preamble):
    data_set = window()
    data_set.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        data_set.PixelData = RAMP.astype(">u2").tobytes()
    data = encode(data_set)
    assert np.abs(grey(data if preamble else data[132:]) - PLAIN).max() <= 1


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_data_set_alone(syntax):
    data_set = window()
    data_set.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        data_set.PixelData = RAMP.astype(">u2").tobytes()
    data = encode(data_set)
    start = data.index(b"\0\x08\0\x16" if syntax == ExplicitVRBigEndian else b"\x08\0\x16\0", 132)
    assert np.abs(grey(data[start:]) - PLAIN).max() <= 1


@pytest.mark.skipif(not shutil.which("dcmcjpeg"), reason="needs DCMTK")
@pytest.mark.parametrize(
    ("command", "largest"),
    [
        (["dcmcjpeg", "+e1"], 1),  # lossless, first-order prediction
        (["dcmcjpeg", "+el"], 1),  # lossless, other predictions
        (["dcmcjpeg", "+ee", "+q", "100"], 2),  # extended, 12 bits
        (["dcmcjpls", "+el"], 1),
        (["dcmcjpls", "+en", "+md", "1"], 1),
        (["dcmcrle"], 1),
        (["dcmconv", "+td"], 1),  # deflated
        (["dcmconv", "+tb"], 1),  # big endian
        (["dcmconv", "+ti"], 1),  # implicit
        (["dcmconv", "+te", "-e"], 1),  # sequences and items of undefined length
        (["dcmconv", "-F"], 1),  # a data set alone
    ],
    ids=str,
)
def test_a_file_of_dcmtk(tmp_path, command, largest):
    data_set = window()
    data_set.BitsStored, data_set.HighBit = 12, 11
    data_set.StudyInstanceUID = data_set.SeriesInstanceUID = "2.25.2"
    (tmp_path / "in.dcm").write_bytes(encode(data_set))
    subprocess.run([*command, "in.dcm", "out.dcm"], cwd=tmp_path, check=True, timeout=60)
    assert np.abs(grey((tmp_path / "out.dcm").read_bytes()) - PLAIN).max() <= largest


@pytest.mark.skipif(not shutil.which("dcm2pnm"), reason="needs DCMTK")
@pytest.mark.parametrize("name", ["MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "examples_palette.dcm"])
def test_dcmtk_sees_the_same(tmp_path, name):
    file = tmp_path / "image.pnm"
    subprocess.run(["dcm2pnm", "+Wi", "1", FOLDER / name, file], check=name != "examples_palette.dcm", timeout=60)
    if not file.exists():
        subprocess.run(["dcm2pnm", FOLDER / name, file], check=True, timeout=60)
    head, size, _, pixels = file.read_bytes().split(b"\n", 3)
    width, height = map(int, size.split())
    theirs = np.frombuffer(pixels, np.uint8).reshape((height, width, 3) if head == b"P6" else (height, width))
    ours = np.asarray(read_image(data_of(name), keep_grey=True).image).astype(int)
    assert np.abs(ours - theirs).max() <= (1 if theirs.ndim == 2 else 0)


def test_a_file_of_highdicom():
    image = highdicom.sc.SCImage(
        pixel_array=RAMP,
        photometric_interpretation="MONOCHROME2",
        bits_allocated=16,
        coordinate_system="PATIENT",
        study_instance_uid="2.25.3",
        series_instance_uid="2.25.4",
        sop_instance_uid="2.25.5",
        series_number=1,
        instance_number=1,
        manufacturer="test",
        patient_orientation=("L", "P"),
    )
    decoded = read_image(encode(image), keep_grey=True)
    assert decoded.facts.dicom.modality == "OT"
    (warning,) = decoded.facts.warnings
    assert warning == "The DICOM file says that its modality is OT, not MR: the model knows MR scans alone."
    low, high = np.percentile(RAMP, (0.5, 99.5), method="nearest").astype(float)
    assert np.abs(np.asarray(decoded.image) - np.clip((RAMP - low) / (high - low) * 255, 0, 255)).max() <= 0.51


def test_tables_of_pydicom_are_what_the_tests_think():
    data_set = window()
    values = apply_voi_lut(apply_modality_lut(data_set.pixel_array, data_set), data_set)
    assert np.abs(values / 65535 * 255 - PLAIN).max() <= 0.51
    assert convert_color_space(np.zeros((1, 1, 3), np.uint8), "RGB", "YBR_FULL")[0, 0].tolist() == [0, 128, 128]
