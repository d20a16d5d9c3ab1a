"""The classic gateway: Flask under gunicorn's ``sync`` worker, TensorFlow to write the request, float32 pixels.

As courses and tutorials for TensorFlow Serving have it: keras_image_helper prepares the image, ``make_tensor_proto``
the request, tensorflow-serving-api calls the model server.
"""

import os

import grpc
import tensorflow as tf
from flask import Flask, jsonify, request
from keras_image_helper.base import BasePreprocessor
from PIL import Image
from pixels import INPUT, RESAMPLING, SIZE, response, scaled
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


class Preprocessor(BasePreprocessor):
    """keras_image_helper's, which resizes by nearest neighbour, with the filter and scaling of the network."""

    def resize_image(self, img):
        return img.convert("RGB").resize(self.target_size, RESAMPLING)

    def preprocess(self, batch):
        return scaled(batch)


app = Flask(__name__)
preprocessor = Preprocessor(SIZE)
stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(os.environ["PEERS_MODEL_SERVER"]))


@app.post("/predict")
def predict():
    with Image.open(request.files["image"].stream) as image:
        batch = preprocessor.convert_to_tensor(image)
    call = predict_pb2.PredictRequest()
    call.model_spec.name = "classifier"
    call.model_spec.signature_name = "serving_default"
    call.inputs[INPUT].CopyFrom(tf.make_tensor_proto(batch, shape=batch.shape))
    outputs = stub.Predict(call, timeout=60).outputs
    return jsonify(response(tf.make_ndarray(outputs["output_0"])))
