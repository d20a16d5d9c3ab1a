"""FastAPI with OpenVINO: uvicorn with one worker, and an endpoint that FastAPI runs in its threads.

Settings: float32, and the hint LATENCY, which gives one call every core; each thread has an inference request.
"""

import threading

import openvino
from fastapi import FastAPI, UploadFile
from pixels import NETWORK, decoded, response

app = FastAPI()
compiled = openvino.Core().compile_model(
    NETWORK / "network.xml", "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
)
of_thread = threading.local()


@app.post("/predict")
def predict(image: UploadFile) -> dict:
    if not hasattr(of_thread, "request"):
        of_thread.request = compiled.create_infer_request()
    return response(of_thread.request.infer([decoded(image.file.read())])[0])
