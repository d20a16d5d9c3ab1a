"""What is read from a MATLAB file of figshare's set, and what is refused with a reason."""

import io

import h5py
import numpy as np
import pytest

from tests.training.data.mat_files import mat_file, scan
from training.data.matlab import MatlabError, read_scan


def test_a_scan_is_read_as_matlab_shows_it() -> None:
    image = scan(0)
    read = read_scan(mat_file(image, label=3, patient="MR040240B"))
    assert (read.class_name, read.patient) == ("pituitary", "MR040240B")
    assert read.pixels.dtype == np.uint16
    np.testing.assert_array_equal(read.pixels, image)


def test_negative_levels_are_moved_up_and_none_is_lost() -> None:
    image = scan(1)
    image[0, :2] = (-32768, 32767)
    pixels = read_scan(mat_file(image)).pixels
    np.testing.assert_array_equal(pixels, image.astype(int) + 32768)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": np.array([[4.0]])}, r"its label is 4, not one of 1 \(meningioma\), 2 \(glioma\), 3 \(pituitary\)"),
        ({"label": np.array([[1.5]])}, r"its label is 1\.5, not one of"),
        ({"label": None}, r"has no cjdata\.label"),
        ({"PID": None}, r"has no cjdata\.PID"),
        ({"image": None}, r"has no cjdata\.image"),
        ({"PID": np.array([[7.0]])}, r"cjdata\.PID, is no text"),
        ({"PID": np.zeros((1, 3), np.uint16)}, r"cjdata\.PID, is no text"),
        ({"PID": np.full((1, 500), 65, np.uint16)}, r"cjdata\.PID, is no text"),
        ({"image": scan(0).astype(float)}, r"its image is float64 \(20, 24\), not grey levels of 16 bits"),
        ({"image": scan(0, 4, 4)}, r"its image is int16 \(4, 4\)"),
        ({"image": np.zeros((20, 20, 3), np.int16)}, r"its image is int16 \(20, 20, 3\)"),
    ],
)
def test_a_field_that_is_missing_or_impossible_is_named(changes: dict, message: str) -> None:
    with pytest.raises(MatlabError, match=message):
        read_scan(mat_file(scan(0), changes=changes))


def without_a_structure() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["cjdata"] = [1.0]
    return stream.getvalue()


def with_another(name: str, **options: object) -> bytes:
    """A scan with a field made by ``create_dataset``."""
    stream = io.BytesIO(mat_file(scan(0), changes={name: None}))
    with h5py.File(stream, "r+") as file:
        file["cjdata"].create_dataset(name, **options)
    return stream.getvalue()


def of_an_impossible_size() -> bytes:
    """The symbol table of the root group says that its names are at the end of memory."""
    content = bytearray(mat_file(scan(0)))
    content[560:568] = b"\xff" * 7 + b"\x50"
    return bytes(content)


def damaged_inside() -> bytes:
    content = bytearray(mat_file(scan(0)))
    start = content.index(b"\x78\x5e")  # of the image, which zlib packed
    content[start + 10 : start + 60] = bytes(50)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"MATLAB 5.0 MAT-file, Platform: PCWIN64".ljust(200), r"of version 5 to 7\.2; save it with -v7\.3"),
        (mat_file(scan(0))[:-500], "damaged or incomplete, or no MATLAB file of version"),
        (damaged_inside(), "damaged or incomplete, or no MATLAB file of version"),
        (b"", "damaged or incomplete, or no MATLAB file of version"),
        (b"%PDF-1.4", "damaged or incomplete, or no MATLAB file of version"),
        (of_an_impossible_size(), "damaged or incomplete, or no MATLAB file of version"),
        (without_a_structure(), r"has no cjdata\.label"),
        (with_another("PID", data=h5py.Empty("u2")), r"has no cjdata\.PID"),
        (
            with_another("image", shape=(20, 20), dtype="u2", external=[(__file__, 0, 800)]),
            r"its cjdata\.image lies in another file",
        ),
        (
            with_another("image", shape=(20, 20), dtype="u2", chunks=(9000, 9000), maxshape=(None, None)),
            r"its cjdata\.image is packed in pieces of 81,000,000 numbers",
        ),
    ],
)
def test_a_file_that_is_no_scan_is_explained(content: bytes, message: str) -> None:
    with pytest.raises(MatlabError, match=message):
        read_scan(content)
