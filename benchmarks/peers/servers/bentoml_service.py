"""BentoML with ONNX Runtime: a service with one worker, whose API takes an image as its documentation shows it."""

import bentoml
import PIL.Image
from onnx_network import OnnxNetwork
from pixels import pixels, response


@bentoml.service(workers=1, traffic={"timeout": 60})
class Classifier:
    def __init__(self) -> None:
        self.network = OnnxNetwork()

    @bentoml.api
    def predict(self, image: PIL.Image.Image) -> dict:
        return response(self.network(pixels(image)))
