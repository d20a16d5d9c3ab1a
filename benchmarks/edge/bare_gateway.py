"""The least that a gateway can be: ``python -m benchmarks.edge.bare_gateway``, what a request's CPU is compared with.

It decodes, resizes, calls and responds. It checks nothing, limits nothing and measures nothing.
"""

import io
import os
from typing import Any

import grpc
import numpy as np
from flask import Flask, request
from gunicorn.app.base import BaseApplication
from PIL import Image

from brain_tumor import contract
from brain_tumor.metadata import ModelMetadata
from brain_tumor.processes import SHIPPED_MODEL
from serving_api.messages import PredictRequest
from serving_api.services import PredictionStub
from serving_api.tensors import from_array, to_array


def create_app() -> Flask:
    """Make the application; it calls the server that MODEL_SERVER_ADDRESS names."""
    app = Flask(__name__)
    metadata = ModelMetadata.from_json(SHIPPED_MODEL.with_suffix(".json").read_bytes())
    size = (metadata.image.width, metadata.image.height)
    stub = PredictionStub(grpc.insecure_channel(os.environ["MODEL_SERVER_ADDRESS"]))

    @app.get("/readyz")
    def readyz() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/predict")
    def predict() -> dict[str, Any]:
        with Image.open(io.BytesIO(request.get_data())) as image:
            pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))
        message = PredictRequest()
        message.model_spec.name = contract.MODEL_NAME
        message.model_spec.signature_name = contract.PREDICT_SIGNATURE
        message.inputs[contract.IMAGES].CopyFrom(from_array(pixels[np.newaxis]))
        message.output_filter.append(contract.PROBABILITIES)
        outputs = stub.Predict(message, timeout=10).outputs
        probabilities = to_array(outputs[contract.PROBABILITIES])[0].tolist()
        return dict(zip(metadata.class_names, probabilities, strict=True))

    return app


class Bare(BaseApplication):
    """gunicorn with threads and its own defaults."""

    def load_config(self) -> None:
        """Set what must be set; gunicorn calls this."""
        options = {"bind": os.environ["GATEWAY_BIND"], "worker_class": "gthread", "threads": 8, "keepalive": 75}
        for name, value in {**options, "control_socket_disable": True}.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the application; gunicorn calls this in the worker."""
        return create_app()


if __name__ == "__main__":
    Bare().run()
