"""Requests that contradict themselves, the protocol or the model: 400, and what to do, whatever they hold."""

import json
import struct

import pytest

from brain_tumor import contract
from tests.brain_tumor import images
from tests.gateway.http.open_inference.bodies import (
    INFER,
    LENGTH,
    base64_of,
    binary,
    check_error,
    files,
    infer,
    infer_binary,
    of_pixels,
    pixels,
    prefixed,
    tensor,
)

ONE = pixels((1, 2, 3))
TEXT = base64_of(images.GLIOMA)
GOOD = json.dumps({"inputs": [files(images.GLIOMA)]})

BODIES = {
    "nothing": b"",
    "no JSON": images.GLIOMA,
    "half": GOOD[: len(GOOD) // 2].encode(),
    "twice": (GOOD * 2).encode(),
    "a list": b"[]",
    "null": b"null",
    "no inputs": b"{}",
    "no input": b'{"inputs": []}',
    "inputs of null": b'{"inputs": null}',
    "deep": b'{"inputs": ' + b"[" * 100_000,
    "deep beside": b'{"beside": ' + b'{"a":' * 100_000,
    "NaN": GOOD.replace('"shape": [1]', '"shape": [NaN]').encode(),
    "UTF-16": GOOD.encode("utf-16"),
    "no UTF-8": GOOD.replace('"image"', '"\udcff"').encode(errors="surrogateescape"),
    "no UTF-8 in the data": GOOD.replace(TEXT, "\udcff").encode(errors="surrogateescape"),
    "lone surrogate": GOOD.replace('"image"', '"\\ud800"').encode(),
}
WHOLE = {
    "two inputs": {"inputs": [files(images.GLIOMA)] * 2},
    "id of a number": {"inputs": [files(images.GLIOMA)], "id": 5},
    "long id": {"inputs": [files(images.GLIOMA)], "id": "a" * 257},
    "outputs of a text": {"inputs": [files(images.GLIOMA)], "outputs": "class"},
    "an output without a name": {"inputs": [files(images.GLIOMA)], "outputs": [{}]},
    "unknown output": {"inputs": [files(images.GLIOMA)], "outputs": [{"name": "logits"}]},
    "an output twice": {"inputs": [files(images.GLIOMA)], "outputs": [{"name": "class"}] * 2},
    "too many outputs": {"inputs": [files(images.GLIOMA)], "outputs": [{"name": "class"}] * 1000},
    "classification": {
        "inputs": [files(images.GLIOMA)],
        "outputs": [{"name": "class", "parameters": {"classification": 2}}],
    },
    "output in shared memory": {
        "inputs": [files(images.GLIOMA)],
        "outputs": [{"name": "class", "parameters": {"shared_memory_region": "a"}}],
    },
    "binary data of a text": {
        "inputs": [files(images.GLIOMA)],
        "outputs": [{"name": "class", "parameters": {"binary_data": "yes"}}],
    },
}
INPUTS = {
    "unknown name": tensor([TEXT], [1], "input_1"),
    "datatype of the other": tensor([TEXT], [1], "images"),
    "unknown datatype": tensor([TEXT], [1], datatype="STRING"),
    "floats": tensor(ONE.tolist(), list(ONE.shape), "images", "FP32"),
    "no data": {"name": "image", "shape": [1], "datatype": "BYTES"},
    "data of null": tensor(None, [1]),
    "shared memory": {
        "name": "image",
        "shape": [1],
        "datatype": "BYTES",
        "parameters": {"shared_memory_region": "a", "shared_memory_byte_size": 5},
    },
    "data twice": tensor([TEXT], [1], parameters={"binary_data_size": 5}),
    "binary data without the header": binary(b"abcde", [1]),
    "negative size": tensor([TEXT], [1], parameters={"binary_data_size": -1}),
    "no dimension": tensor([TEXT], []),
    "no image": tensor([], [0]),
    "negative count": tensor([TEXT], [-1]),
    "two in a row": tensor([TEXT, TEXT], [1, 2]),
    "three dimensions": tensor([TEXT], [1, 1, 1]),
    "shape of a text": tensor([TEXT], "1"),
    "shape of texts": tensor([TEXT], ["1"]),
    "shape of floats": tensor([TEXT], [1.5]),
    "shape of flags": tensor([TEXT], [True]),
    "long shape": tensor([TEXT], [1] * 1000),
    "huge dimension": tensor([TEXT], [1, 1 << 80]),
    "fewer than the shape says": tensor([TEXT], [2]),
    "more than the shape says": tensor([TEXT, TEXT], [1]),
    "data of a text": tensor(TEXT, [1]),
    "data of numbers": tensor([1], [1]),
    "data too deep": tensor([[[TEXT]]], [1]),
    "too many elements": tensor([""] * 5000, [1]),
    "bytes as text": tensor(["\u0089PNG\r\n"], [1]),
    "other size": tensor([0] * 12, [1, 2, 2, 3], "images", "UINT8"),
    "grey": tensor([0] * 24 * 32, [1, 24, 32, 1], "images", "UINT8"),
    "one image without its dimension": tensor(ONE[0].tolist(), [24, 32, 3], "images", "UINT8"),
    "no pixels": tensor([], [0, 24, 32, 3], "images", "UINT8"),
    "negative count of pixels": tensor([0], [-1, 24, 32, 3], "images", "UINT8"),
    "fewer pixels": of_pixels(ONE, ONE.ravel()[:-1].tolist()),
    "more pixels": of_pixels(ONE, [*ONE.ravel().tolist(), 0]),
    "none of the pixels": of_pixels(ONE, []),
    "pixels of null": of_pixels(ONE, [None] * ONE.size),
    "a float among the pixels": of_pixels(ONE, [0.5, *ONE.ravel()[1:].tolist()]),
    "a text among the pixels": of_pixels(ONE, ["1", *ONE.ravel()[1:].tolist()]),
    "a pixel below 0": of_pixels(ONE, [-1, *ONE.ravel()[1:].tolist()]),
    "a pixel above 255": of_pixels(ONE, [256, *ONE.ravel()[1:].tolist()]),
    "a huge pixel": of_pixels(ONE, [10**40, *ONE.ravel()[1:].tolist()]),
    "nested otherwise": of_pixels(ONE, ONE.transpose(0, 2, 1, 3).tolist()),
    "half nested": of_pixels(ONE, ONE.reshape(1, -1).tolist()),
    "ragged": of_pixels(ONE, [[[[1, 2], [3]], *ONE[0, 0, 1:].tolist()], *ONE[0, 1:].tolist()]),
    "pixels of an object": of_pixels(ONE, {"0": 1}),
}
SOUND = prefixed(images.GLIOMA)
BINARY = {
    "size above what follows": ({"binary_data_size": len(SOUND) + 1}, [1], SOUND),
    "size below what follows": ({"binary_data_size": len(SOUND) - 1}, [1], SOUND),
    "no size": ({}, [1], SOUND),
    "fewer elements": ({"binary_data_size": len(SOUND)}, [2], SOUND),
    "more elements": ({"binary_data_size": 2 * len(SOUND)}, [1], SOUND * 2),
    "trailing bytes": ({"binary_data_size": len(SOUND) + 2}, [1], SOUND + b"ab"),
    "cut length": ({"binary_data_size": 3}, [1], b"\1\0\0"),
    "lying length": ({"binary_data_size": 8}, [1], struct.pack("<I", 5) + b"abcd"),
    "huge length": ({"binary_data_size": 8}, [1], struct.pack("<I", 0xFFFFFFFF) + b"abcd"),
    "big-endian length": ({"binary_data_size": len(SOUND)}, [1], struct.pack(">I", len(SOUND) - 4) + SOUND[4:]),
    "nothing": ({"binary_data_size": 0}, [1], b""),
}


@pytest.mark.parametrize("name", BODIES)
def test_body(client, model_server, name):
    check_error(client.post(INFER, data=BODIES[name], content_type="application/json"), 400)
    assert model_server.count(contract.PREDICT_SIGNATURE) == 0


@pytest.mark.parametrize("name", WHOLE)
def test_request(client, model_server, name):
    check_error(client.post(INFER, json=WHOLE[name]), 400)
    assert model_server.count(contract.PREDICT_SIGNATURE) == 0


@pytest.mark.parametrize("name", INPUTS)
def test_input(client, model_server, name):
    check_error(infer(client, INPUTS[name]), 400)
    assert model_server.count(contract.PREDICT_SIGNATURE) == 0


@pytest.mark.parametrize("name", BINARY)
def test_binary_data(client, model_server, name):
    parameters, shape, behind = BINARY[name]
    sent = {"name": "image", "shape": shape, "datatype": "BYTES", "parameters": parameters}
    check_error(infer_binary(client, sent, behind), 400)
    assert model_server.count(contract.PREDICT_SIGNATURE) == 0


@pytest.mark.parametrize("size", [ONE.size - 1, ONE.size + 1])
def test_binary_pixels(client, size):
    sent = binary(bytes(size), list(ONE.shape), "images", "UINT8")
    check_error(infer_binary(client, sent, bytes(size)), 400)


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "+5", "1 2", "9" * 30, "100000", "0", "\u00b2", "5,5"])
def test_length_of_the_json(client, length):
    check_error(client.post(INFER, data=GOOD, headers={LENGTH: length}), 400)


def test_what_cannot_matter_has_no_effect(client):
    sent = files(images.GLIOMA) | {"parameters": {"unknown": [1]}, "beside": {"a": None}}
    more = {"parameters": {"sequence_id": 0, "priority": 3, "timeout": 5}, "model_name": "x", "outputs": []}
    response = infer(client, sent, **more)
    assert response.status_code == 200
    assert "id" not in response.get_json()
    assert infer(client, sent, id=None, parameters=None, outputs=None).status_code == 200


def test_messages_repeat_nothing_of_a_request(client):
    secret = "patient-7"
    for sent in (tensor([secret], [1]), tensor([TEXT], [1], secret), tensor([TEXT], [1], datatype=secret)):
        assert secret not in check_error(infer(client, sent), 400)
    assert secret not in check_error(infer(client, files(images.GLIOMA), outputs=[{"name": secret}]), 400)
    assert secret not in check_error(client.get(f"/v2/models/{secret}"), 404)
