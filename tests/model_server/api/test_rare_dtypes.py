"""Dtypes and values of them that few models have: what this server does, and what TensorFlow does where that differs.

The runtime of TensorFlow Serving is TensorFlow itself, so TensorFlow shows what the document of differences says of it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf

from serving_api.messages import TensorProto
from serving_api.tensors import to_array
from tests.model_server.server_process import ServerProcess


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code().name, caught.value.details()


def proto(array: Any) -> TensorProto:
    """A tensor as TensorFlow's own clients write it."""
    return TensorProto.FromString(tf.make_tensor_proto(array).SerializeToString())


def test_half_goes_over_grpc_alone(odd_server: ServerProcess) -> None:
    response = odd_server.predict("odd", signature="half", half=np.array([0.5, 1.5], np.float16))
    assert to_array(response.outputs["half"]).tolist() == [1, 3]
    response = odd_server.predict("odd", signature="half", half=proto(np.array([0.5, 1.5], np.float16)))
    assert to_array(response.outputs["single"]).tolist() == [0.5, 1.5]
    columns = odd_server.post("odd", {"signature_name": "half", "inputs": [0.5]})
    assert (columns.status, columns.json) == (501, {"error": "Conversion of JSON Value: 0.5 to type: half"})
    rows = odd_server.post("odd", {"signature_name": "half", "instances": [0.5]})
    assert (rows.status, "UNIMPLEMENTED: Conversion of JSON Value: 0.5 to type: half" in rows.json["error"]) == (
        400,
        True,
    )


def test_what_this_server_cannot_carry_is_said(odd_server: ServerProcess) -> None:
    a = np.array([1.0], np.float32)
    message = 'output "complex" has the dtype complex64, which tensorflow/serving can carry and this server cannot'
    assert refusal(lambda: odd_server.predict("odd", signature="complex", a=a)) == ("UNIMPLEMENTED", message)
    response = odd_server.predict("odd", ("same",), signature="complex", a=a)
    assert to_array(response.outputs["same"]).tolist() == [1]
    response = odd_server.post("odd", {"signature_name": "complex", "instances": [1]})
    assert (response.status, response.json) == (501, {"error": message})
    bfloat = proto(tf.constant([1.0], tf.bfloat16))
    message = 'input "bfloat" has the dtype bfloat16, which tensorflow/serving can carry and this server cannot'
    assert refusal(lambda: odd_server.predict("odd", signature="bfloat", bfloat=bfloat)) == ("UNIMPLEMENTED", message)
    response = odd_server.post("odd", {"signature_name": "bfloat", "inputs": [1]})
    assert (response.status, response.json) == (501, {"error": "Conversion of JSON Value: 1 to type: bfloat16"})


def test_bytes_out_of_range_are_refused_where_tensorflow_takes_them_modulo_256(odd_server: ServerProcess) -> None:
    values = TensorProto(dtype=4, int_val=[256, -1, 255])
    values.tensor_shape.dim.add(size=3)
    assert tf.io.parse_tensor(values.SerializeToString(), tf.uint8).numpy().tolist() == [0, 255, 255]
    code, message = refusal(lambda: odd_server.predict("odd", signature="byte", byte=values))
    assert (code, message) == ("INVALID_ARGUMENT", "tensor parsing error: byte (a value does not fit uint8)")
    values.int_val[:] = [0, 128, 255]
    response = odd_server.predict("odd", signature="byte", byte=values)
    assert to_array(response.outputs["wide"]).tolist() == [0, 128, 255]
    for value in (256, -1):
        response = odd_server.post("odd", {"signature_name": "byte", "inputs": [value]})
        assert response.status == 400
        message = f"JSON Value: {value} Type: Number is not of expected type: uint8"
        assert response.json == {"error": message}


def test_tensorflows_words_for_a_prediction_that_takes_too_long(odd_base: Path, odd_server: ServerProcess) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        model = tf.compat.v1.saved_model.load(session, ["serve"], str(odd_base / "1"))
        slow = model.signature_def["slow"]
        with pytest.raises(tf.errors.DeadlineExceededError) as caught:
            session.run(
                slow.outputs["trace"].name,
                {slow.inputs["steps"].name: [2**31 - 1]},
                tf.compat.v1.RunOptions(timeout_in_ms=100),
            )
    response = odd_server.post("odd", {"signature_name": "slow", "inputs": [200_000]})
    assert response.status == 504
    assert caught.value.message.endswith(response.json["error"])
