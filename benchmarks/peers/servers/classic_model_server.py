"""A stand-in for tensorflow_model_server, whose binary no package registry has: python classic_model_server.py.

A session of TensorFlow 2.20 with its default threads, on the plain export, behind gRPC's PredictionService. What
differs from the binary: requests and responses pass through Python, which costs a few milliseconds; the binary needs
no Python and so less memory; and TensorFlow's wheel and the binary of the container image may be compiled for other
instructions.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import grpc
import tensorflow as tf
from pixels import NETWORK
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

_MAX_MESSAGE = 16 << 20  # bytes
_CALLS = 16  # at once


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self) -> None:
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], str(NETWORK / "saved_model"))
        self._signatures = loaded.signature_def

    def Predict(self, request, context):  # noqa: N802 - gRPC's name
        signature = self._signatures[request.model_spec.signature_name]
        (given,) = request.inputs.values()
        (expected,) = signature.inputs.values()
        fetches = {alias: info.name for alias, info in signature.outputs.items()}
        outputs = self._session.run(fetches, {expected.name: tf.make_ndarray(given)})
        response = predict_pb2.PredictResponse(model_spec=request.model_spec)
        for alias, array in outputs.items():
            response.outputs[alias].CopyFrom(tf.make_tensor_proto(array))
        return response


if __name__ == "__main__":
    options = [("grpc.max_receive_message_length", _MAX_MESSAGE)]
    server = grpc.server(ThreadPoolExecutor(_CALLS), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(), server)
    server.add_insecure_port(os.environ["PEERS_MODEL_SERVER"])
    server.start()
    server.wait_for_termination()
