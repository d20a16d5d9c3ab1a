"""Which frame of a file is classified, and what the response says of the files."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.brain_tumor import images
from tests.brain_tumor.dicom_files import HEIGHT, SECRET, WIDTH, encode, scan
from tests.gateway.http.open_inference.bodies import GREEN, RED, check_error, files, infer, of_pixels, outputs, pixels

# Frames 1 and 3 are what the fake model calls glioma, 2 and 4 meningioma.
FRAMES = encode(
    scan(np.stack([np.full((HEIGHT, WIDTH, 3), colour, np.uint8) for colour in ((200, 30, 30), (30, 200, 30))] * 2))
)
OTHER_PART = encode(scan(BodyPartExamined="KNEE"))


@pytest.mark.parametrize(
    ("of_the_input", "of_the_request", "frame"),
    [
        ({}, {}, 3),
        ({}, {"frame": 2}, 2),
        ({}, {"page": "4"}, 4),
        ({"frame": 1}, {}, 1),
        ({"page": 2}, {"frame": 1}, 2),
        ({"frame": None}, {"frame": 2, "page": 2}, 2),
    ],
)
def test_a_frame(client, of_the_input, of_the_request, frame):
    response = infer(client, files(FRAMES) | {"parameters": of_the_input}, parameters=of_the_request)
    assert outputs(response)["class"] == ["glioma" if frame % 2 else "meningioma"]
    (dicom,) = json.loads(response.get_json()["parameters"]["dicom"])
    assert (dicom["frame"], dicom["frames"]) == (frame, 4)


@pytest.mark.parametrize("wrong", [0, -1, 10**6, 1.5, True, "x", "0", [1], {"a": 1}])
@pytest.mark.parametrize("name", ["page", "frame"])
def test_no_frame(client, name, wrong):
    for sent, more in (
        (files(FRAMES), {"parameters": {name: wrong}}),
        (files(FRAMES) | {"parameters": {name: wrong}}, {}),
    ):
        assert name in check_error(infer(client, sent, **more), 400)


def test_a_frame_that_the_file_has_not(client):
    assert check_error(infer(client, files(FRAMES), parameters={"frame": 5}), 422).startswith('"image"[0]: ')
    assert "mean the same" in check_error(infer(client, files(FRAMES), parameters={"frame": 1, "page": 2}), 400)


def test_each_file_says_its_own(client):
    response = infer(client, files(images.GLIOMA, FRAMES, OTHER_PART))
    parameters = response.get_json()["parameters"]
    assert set(map(type, parameters.values())) == {str}  # the protocol knows no lists
    (none, frames, knee) = json.loads(parameters["dicom"])
    assert none is None
    assert set(frames) == {"modality", "frame", "frames", "window"}
    assert knee["window"]["source"] == "percentiles"
    (nothing, *_, warnings) = json.loads(parameters["warnings"])
    assert nothing == []
    assert len(warnings) == 1
    assert SECRET not in response.text


def test_the_pages_of_a_tiff(client):
    red, green = (Image.new("RGB", (40, 40), colour) for colour in (RED, GREEN))
    stack = images.encode(red, "TIFF", save_all=True, append_images=[green, red])
    response = infer(client, files(images.NOTUMOR, stack, images.NOTUMOR), parameters={"page": 1})
    parameters = response.get_json()["parameters"]
    assert (parameters["page"], parameters["pages"]) == ("[1,1,1]", "[1,3,1]")
    response = infer(client, files(stack), parameters={"page": 2})
    assert outputs(response)["class"] == ["meningioma"]
    assert (response.get_json()["parameters"]["page"], response.get_json()["parameters"]["pages"]) == ("[2]", "[3]")


def test_other_files_and_pixels_say_nothing(client):
    for sent in (files(images.GLIOMA), of_pixels(pixels(RED), pixels(RED).tolist())):
        parameters = infer(client, sent, parameters={"frame": 1}).get_json()["parameters"]
        assert set(parameters) == {"class_names", "notice", "warnings"}
        assert json.loads(parameters["warnings"]) == [[]]
