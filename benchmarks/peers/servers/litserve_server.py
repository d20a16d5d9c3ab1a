"""LitServe with ONNX Runtime: one worker, which has every core for a call."""

import os

import litserve
from onnx_network import OnnxNetwork
from pixels import decoded, response


class Classifier(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.network = OnnxNetwork()

    def decode_request(self, request):
        return decoded(request["image"].file.read())  # a form

    def predict(self, batch):
        return self.network(batch)

    def encode_response(self, probabilities) -> dict:
        return response(probabilities)


if __name__ == "__main__":
    server = litserve.LitServer(Classifier(), accelerator="cpu", workers_per_device=1, timeout=60)
    server.run(host="127.0.0.1", port=int(os.environ["PEERS_PORT"]), generate_client_file=False)
