"""KServe's SDK with ONNX Runtime: a custom model behind protocol V1, one worker, images as base64 in JSON.

It listens on all addresses of the machine: the SDK has no option for another one.
"""

import base64
import os

from kserve import Model, ModelServer
from onnx_network import OnnxNetwork
from pixels import decoded, response


class Classifier(Model):
    def __init__(self) -> None:
        super().__init__("classifier")
        self.load()

    def load(self) -> bool:
        self.network = OnnxNetwork()
        self.ready = True
        return self.ready

    def preprocess(self, payload, headers=None):
        return [decoded(base64.b64decode(instance["image"]["b64"])) for instance in payload["instances"]]

    def predict(self, batches, headers=None) -> dict:
        return {"predictions": [response(self.network(batch)) for batch in batches]}


if __name__ == "__main__":
    ModelServer(http_port=int(os.environ["PEERS_PORT"]), enable_grpc=False, workers=1).start([Classifier()])
