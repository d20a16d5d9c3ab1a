"""What is told of a DICOM file: what people must know, and nothing that names anyone."""

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from brain_tumor.image import FORMATS, BrokenImage, decode, is_heavy, read_image
from brain_tumor.image.formats import file_format
from tests.brain_tumor import images
from tests.brain_tumor.dicom_files import SECRET, encode, scan


def warnings(**elements: object) -> tuple[str, ...]:
    return read_image(encode(scan(**elements))).facts.warnings


def region(meaning: str) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "99TEST", meaning
    return Sequence([item])


pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR CS")  # of pydicom, which writes it all the same


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"BodyPartExamined": ""},
        {"BodyPartExamined": "HEAD"},
        {"BodyPartExamined": "brain"},
        {"BodyPartExamined": "HEADNECK"},
        {"AnatomicRegionSequence": region("Pituitary")},
        {"ImageType": ["ORIGINAL", "PRIMARY", "M"]},
    ],
)
def test_a_scan_of_a_head_has_no_warning(elements):
    assert warnings(**elements) == ()


@pytest.mark.parametrize(
    ("elements", "text"),
    [
        ({"Modality": "CT"}, "modality is CT, not MR"),
        ({"Modality": ""}, "does not say that its modality is MR"),
        ({"Modality": SECRET}, "does not say that its modality is MR"),
        ({"BodyPartExamined": "KNEE"}, "another part of the body"),
        ({"BodyPartExamined": SECRET}, "another part of the body"),
        ({"AnatomicRegionSequence": region(SECRET)}, "another part of the body"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
    ],
)
def test_what_speaks_against_a_scan_of_a_head(elements, text):
    (warning,) = warnings(**elements)
    assert text in warning
    assert SECRET not in warning


def test_all_warnings_come():
    assert len(warnings(Modality="CT", BodyPartExamined="KNEE", ImageType=["A", "B", "LOCALIZER"])) == 3


def test_a_modality_that_is_no_defined_term_is_not_told():
    assert read_image(encode(scan(Modality=SECRET))).facts.dicom.modality is None
    assert read_image(encode(scan(Modality="ct"))).facts.dicom.modality == "CT"


def test_nothing_of_an_error_is_out_of_the_file():
    data_set = scan(PhotometricInterpretation=SECRET, SamplesPerPixel=1)
    with pytest.raises(BrokenImage) as caught:
        read_image(encode(data_set))
    assert SECRET not in str(caught.value)


def test_other_formats_have_neither():
    decoded = read_image(images.GLIOMA)
    assert (decoded.facts.dicom, decoded.facts.warnings) == (None, ())


@pytest.mark.parametrize("preamble", [bytes(128), b"II*\0".ljust(128, b"\0"), b"\xff\xd8\xff".ljust(128, b"x")])
def test_a_preamble_may_be_anything(preamble):
    data = preamble + encode(scan())[128:]
    assert file_format(data) == "DICOM"
    assert FORMATS["DICOM"] == "application/dicom"
    assert decode(data).size == (40, 32)


@pytest.mark.parametrize("name", images.ODD)
def test_no_other_image_is_taken_for_one(name):
    assert file_format(images.ODD[name]) != "DICOM"


@pytest.mark.parametrize(
    "data", [b"", b"\x08\0", b"\x08\0\x05\0CS", b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + b"\x07\0\0\0CS\0\0\0\0\0\0" * 2]
)
def test_what_only_looks_like_one(data):
    with pytest.raises(Exception, match=r"not an image|a file|text"):
        file_format(data)


def test_a_usual_file_is_not_heavy_and_a_large_one_is():
    slices = [encode(scan(np.zeros((512, 512), np.uint16))) for _ in range(7)]
    assert not is_heavy(slices)
    assert is_heavy([*slices, slices[0]])
    assert is_heavy([encode(scan(np.zeros((1100, 1000), np.uint16)))])  # of more than 2 MiB
    compressed = scan(np.zeros((1500, 1500), np.uint16))
    compressed.compress("1.2.840.10008.1.2.5")
    assert is_heavy([encode(compressed)])
