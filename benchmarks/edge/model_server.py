"""A model server whose capacity is known: ``python -m benchmarks.edge.model_server --port 8500 --delay 0.03``.

It is the tests' fake in a process of its own: it takes ``--delay`` seconds for each image, and works on ``--parallel``
images at a time. A red image takes ``--slow`` seconds, beside the others.
"""

import argparse
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

from brain_tumor import contract
from brain_tumor.metadata import ModelMetadata
from brain_tumor.processes import SHIPPED_MODEL
from serving_api.services import PREDICTION_SERVICE, handler
from serving_api.tensors import to_array
from tests.gateway.fake_model_server import FakeModel, FakeModelServer

_THREADS = 600  # above what any gateway here asks at a time: calls wait for the model, not for a thread
_MAX_BYTES = 64 << 20  # of a message, as the gateway's own limit


class BusyModel(FakeModelServer):
    """The fake, slowed down.

    Attributes:
        delay: Seconds for an image.
        slow: Seconds for a red image.
        places: As many images are worked on at a time as this has permits.
        served: Images for which a response was made.
    """

    delay: float
    slow: float
    places: threading.Semaphore
    served: int = 0

    def Predict(self, request, context):  # noqa: N802 - the API's name
        """Wait as long as the model would take, then respond; a call that its client ended frees its place."""
        if request.model_spec.signature_name == contract.PREDICT_SIGNATURE:
            images = to_array(request.inputs[contract.IMAGES])
            ended = threading.Event()
            context.add_callback(ended.set)
            for image in images:
                red, green, blue = image.mean(axis=(0, 1))
                if red > 200 and green < 60 and blue < 60:
                    ended.wait(self.slow)
                else:
                    with self.places:
                        if not ended.is_set():
                            time.sleep(self.delay)
            self.served += len(images)
        response = super().Predict(request, context)
        with self.lock:  # which the tests read, and a benchmark's memory does not hold
            self.calls.clear()
            self.batches.clear()
        return response


def main() -> None:
    """Serve until a signal ends the process."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--delay", type=float, default=0.03, help="seconds for an image (default: %(default)s)")
    options.add_argument("--parallel", type=int, default=1, help="images at a time (default: %(default)s)")
    options.add_argument("--slow", type=float, default=6.0, help="seconds for a red image (default: %(default)s)")
    arguments = options.parse_args()
    limits = [("grpc.max_receive_message_length", _MAX_BYTES), ("grpc.max_send_message_length", _MAX_BYTES)]
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=limits)
    metadata = ModelMetadata.from_json(SHIPPED_MODEL.with_suffix(".json").read_bytes())
    fake = BusyModel(server.add_insecure_port(f"127.0.0.1:{arguments.port}"), server, model=FakeModel(metadata))
    fake.delay, fake.slow, fake.places = arguments.delay, arguments.slow, threading.Semaphore(arguments.parallel)
    server.add_generic_rpc_handlers([handler(PREDICTION_SERVICE, fake)])
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
