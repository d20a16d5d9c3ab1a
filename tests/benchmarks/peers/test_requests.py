"""What is sent, read as a server reads it, and where the probabilities stand."""

import base64
import contextlib
import io
import json

from werkzeug.formparser import FormDataParser

from benchmarks.peers.requests import FORM, KSERVE, MLSERVER

JPEG = b"\xff\xd8\r\n--not the boundary\r\n\xff\xd9"
CLASSES = ("b", "a")
NAMED = {"probabilities": {"a": 0.25, "b": 0.75}}


def test_a_form_has_the_image_as_a_file():
    media_type, body = FORM.encode(JPEG)
    name, _, boundary = media_type.partition("; boundary=")
    _, _, files = FormDataParser().parse(io.BytesIO(body), name, len(body), {"boundary": boundary})
    with contextlib.closing(files["image"]) as image:
        assert image.read() == JPEG
        assert image.mimetype == "image/jpeg"
        assert image.filename


def test_protocols_carry_base64_in_json():
    media_type, body = KSERVE.encode(JPEG)
    (instance,) = json.loads(body)["instances"]
    assert (media_type, base64.b64decode(instance["image"]["b64"])) == ("application/json", JPEG)
    media_type, body = MLSERVER.encode(JPEG)
    (image,) = json.loads(body)["inputs"]
    assert (media_type, base64.b64decode(image["data"][0])) == ("application/json", JPEG)
    assert (image["shape"], image["datatype"]) == ([1], "BYTES")


def test_probabilities_come_in_the_order_of_the_classes():
    assert FORM.decode(NAMED, CLASSES) == [0.75, 0.25]
    assert KSERVE.decode({"predictions": [NAMED]}, CLASSES) == [0.75, 0.25]
    assert MLSERVER.decode({"outputs": [{"name": "probabilities", "data": [0.75, 0.25]}]}, CLASSES) == [0.75, 0.25]
