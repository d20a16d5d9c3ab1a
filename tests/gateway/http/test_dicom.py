"""DICOM files from a request to its response."""

import base64
import json
import logging
import subprocess
import sys

import numpy as np
import pytest

from brain_tumor.processes import ROOT
from tests.brain_tumor.dicom_files import HEIGHT, SECRET, WIDTH, encode, scan
from tests.gateway.calls import check_problem, form

SCAN = encode(scan(WindowCenter="2000", WindowWidth="3000"))
BASE64 = base64.b64encode(SCAN).decode()
FRAMES = encode(
    scan(np.stack([np.full((HEIGHT, WIDTH, 3), colour, np.uint8) for colour in ((200, 30, 30), (30, 200, 30))] * 2))
)
DICOM = {"Content-Type": "application/dicom"}


@pytest.mark.parametrize(
    "send",
    [
        {"data": SCAN, "content_type": "application/dicom"},
        {"data": SCAN, "content_type": "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"},
        {"data": SCAN, "content_type": "application/octet-stream"},
        {"data": SCAN, "content_type": "image/png"},
        {"data": SCAN[132:], "content_type": "application/dicom"},
        {"data": SCAN[132:]},
        {"data": form(SCAN)},
        {"json": {"image": BASE64}},
        {"json": {"url": "data:application/dicom;base64," + BASE64}},
        {"data": {"image": BASE64}, "content_type": "application/x-www-form-urlencoded"},
    ],
)
def test_a_dicom_file_comes_in_any_way(client, send):
    response = client.post("/predict", **send)
    assert response.status_code == 200, response.text
    document = response.get_json()
    assert document["dicom"] == {
        "modality": "MR",
        "frame": 1,
        "frames": 1,
        "window": {"source": "file", "center": 2000.0, "width": 3000.0, "function": "LINEAR"},
    }
    assert document["warnings"] == []
    assert SECRET not in response.text


@pytest.mark.parametrize(
    ("query", "body", "frame"),
    [("", {}, 3), ("?frame=2", {}, 2), ("?page=1", {}, 1), ("", {"frame": 2}, 2), ("?frame=1", {"frame": 2}, 1)],
)
def test_a_frame(client, query, body, frame):
    send = {"image": base64.b64encode(FRAMES).decode(), **body}
    document = client.post(f"/predict{query}", json=send).get_json()
    assert document["class"] == ("glioma" if frame % 2 else "meningioma")
    assert document["dicom"] == {"modality": "MR", "frame": frame, "frames": 4, "window": None}


def test_a_frame_in_a_form(client):
    assert client.post("/predict", data={**form(FRAMES), "frame": "4"}).get_json()["dicom"]["frame"] == 4


def test_warnings_and_overlays_come_beside_the_prediction(client):
    data = encode(scan(Modality="CT", BodyPartExamined=SECRET))
    document = client.post("/predict?explain=true", data=data, headers=DICOM).get_json()
    assert document["class"]
    assert document["explanation"]["png"]
    assert len(document["warnings"]) == 2
    assert SECRET not in json.dumps(document)


def test_nothing_of_the_file_reaches_log_or_metrics(client, caplog):
    caplog.set_level(logging.DEBUG)
    for data in (SCAN, SCAN[:900], SCAN[:-100], encode(scan(Modality=SECRET, PhotometricInterpretation=SECRET))):
        assert SECRET not in client.post("/predict", data=data, headers=DICOM).text
    assert SECRET not in caplog.text
    assert SECRET not in client.get("/metrics").text


def test_what_is_wrong_with_a_file(client):
    report = scan()
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    del report.PixelData
    check_problem(client.post("/predict", data=encode(report), headers=DICOM), 415)
    check_problem(client.post("/predict", data=SCAN[:-100], headers=DICOM), 400)
    check_problem(client.post("/predict?frame=2", data=SCAN, headers=DICOM), 422)
    check_problem(client.post("/predict?frame=x", data=SCAN, headers=DICOM), 400)
    check_problem(client.post("/predict", data=encode(scan(Rows=65535, Columns=65535)), headers=DICOM), 413)
    check_problem(client.post("/predict", data=encode(scan(np.zeros((9, 40), np.uint8))), headers=DICOM), 422)


def test_one_damaged_file_costs_the_others_nothing(client):
    good, bad, image = client.post("/predict", data=form(SCAN, SCAN[:-100], FRAMES)).get_json()["predictions"]
    assert good["dicom"]["frames"] == 1
    assert bad["status"] == 400
    assert image["dicom"]["frames"] == 4


def test_pydicom_is_not_in_the_gateway():
    code = """
import sys
import gateway.app
from brain_tumor.image import decode
decode(sys.stdin.buffer.read())
assert not {"pydicom", "libjpeg", "openjpeg"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, input=SCAN, check=True, timeout=60)
