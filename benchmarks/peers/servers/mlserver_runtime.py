"""MLServer with ONNX Runtime: a custom runtime, one worker of its inference pool, images as base64 of protocol V2."""

from mlserver import MLModel
from mlserver.codecs import Base64Codec, NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from onnx_network import OnnxNetwork
from pixels import decoded


class Classifier(MLModel):
    async def load(self) -> bool:
        self.network = OnnxNetwork()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        (image,) = Base64Codec.decode_input(payload.inputs[0])
        output = NumpyCodec.encode_output("probabilities", self.network(decoded(image)))
        return InferenceResponse(model_name=self.name, outputs=[output])
