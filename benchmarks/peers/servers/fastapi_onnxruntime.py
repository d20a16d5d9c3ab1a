"""FastAPI with ONNX Runtime: uvicorn with one worker, and an endpoint that FastAPI runs in its threads."""

from fastapi import FastAPI, UploadFile
from onnx_network import OnnxNetwork
from pixels import decoded, response

app = FastAPI()
network = OnnxNetwork()


@app.post("/predict")
def predict(image: UploadFile) -> dict:
    return response(network(decoded(image.file.read())))
