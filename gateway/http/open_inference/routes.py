"""The protocol's routes: health, metadata and inference."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Protocol

import numpy as np
from flask import Blueprint, Response, request
from numpy.typing import NDArray

from brain_tumor.image import ImageError, is_heavy
from gateway.classify.choice import FRESH, Choice, check_version
from gateway.classify.classification import Classification
from gateway.deadline import Deadline
from gateway.edge.messages import DEADLINE
from gateway.http import documents
from gateway.http.choice import read_choice
from gateway.http.error_forms import INFERENCE
from gateway.http.open_inference import operations
from gateway.http.open_inference.describe import SERVER, describe
from gateway.http.open_inference.messages import ModelReadiness, ServerLiveness, ServerReadiness
from gateway.http.open_inference.outputs import respond, select
from gateway.http.open_inference.request import JSON_LENGTH, InputTensor, read_inference
from gateway.http.open_inference.tensors import FILES, check_name, fits, is_long, read_files, read_pixels
from gateway.http.operations import declared
from gateway.http.predict import Classifies, Slots
from gateway.http.served import Served
from gateway.images.content_coding import inflate
from gateway.metrics import Metrics
from gateway.model.responses import ModelUnavailable, ServedModel
from gateway.settings import Settings


class ClassifiesPixels(Protocol):
    """Classifies prepared images, as ``PixelClassifier`` does."""

    def classify(
        self, pixels: NDArray[np.uint8], model: ServedModel, deadline: Deadline, choice: Choice = ...
    ) -> list[Classification]:
        """Classify the images of one request."""


def open_inference_routes(
    served: Served,
    classifier: Classifies,
    pixel_classifier: ClassifiesPixels,
    metrics: Metrics,
    settings: Settings,
    slots: Slots,
) -> Blueprint:
    """Make the routes.

    Args:
        served: Knows the model.
        classifier: Classifies files.
        pixel_classifier: Classifies pixels.
        metrics: Takes the times of the stages.
        settings: Bound what a request may hold, and how long its response may take where the edge sets no deadline.
        slots: Bound how many requests have heavy images at a time.
    """
    routes = Blueprint("open_inference", __name__, url_prefix=INFERENCE)
    a_model, a_version = "/models/<model>", "/models/<model>/versions/<version>"

    @routes.get("", strict_slashes=False)
    @declared(operations.SERVER)
    def server() -> Response:
        return documents.respond(SERVER)

    @routes.get("/health/live")
    @declared(operations.LIVE)
    def live() -> Response:
        return documents.respond(ServerLiveness(live=True))

    @routes.get("/health/ready")
    @declared(operations.READY)
    def ready() -> Response:
        served.look_at_any()
        return documents.respond(ServerReadiness(ready=True))

    @routes.get(a_model)
    @routes.get(a_version)
    @declared(operations.METADATA)
    def metadata(model: str, version: str | None = None) -> Response:
        return documents.respond(describe(served.look(model, version)))

    @routes.get(f"{a_model}/ready")
    @routes.get(f"{a_version}/ready")
    @declared(operations.MODEL_READY)
    def model_ready(model: str, version: str | None = None) -> Response:
        return documents.respond(ModelReadiness(served.look(model, version).name, ready=True))

    @routes.post(f"{a_model}/infer")
    @routes.post(f"{a_version}/infer")
    @declared(operations.INFER)
    def infer(model: str, version: str | None = None) -> Response:
        deadline = request.environ.get(DEADLINE) or Deadline(settings.deadline)
        choice = read_choice(request, version)
        found = served.find(model, choice, deadline)
        with metrics.stage("source"):
            body = inflate(
                request.get_data(cache=False), request.headers.get("Content-Encoding", ""), settings.max_body
            )
            inference = read_inference(body, request.headers.get(JSON_LENGTH, ""))
            tensor = inference.tensor
            check_name(tensor)
            files = read_files(tensor, settings.max_images) if tensor.name == FILES else None
        if not fits(tensor, found.metadata.image):
            found = served.find(model, choice, deadline, FRESH)  # the client may know a newer one
        select(inference, found.metadata)  # before any work
        made = (
            classify_pixels(tensor, found, deadline, choice)
            if files is None
            else classify_files(files, inference.page, deadline, choice)
        )
        return respond(inference, check_version(_the_model_of(made), choice.binding_version), made)

    def classify_files(
        files: list[bytes], page: int | None, deadline: Deadline, choice: Choice
    ) -> Sequence[Classification]:
        with slots.heavy(request.environ, deadline) if is_heavy(files, page) else nullcontext():
            outcomes = classifier.classify(files, explain=False, deadline=deadline, page=page, choice=choice)
        return [_classification(outcome, index) for index, outcome in enumerate(outcomes)]

    def classify_pixels(
        tensor: InputTensor, found: ServedModel, deadline: Deadline, choice: Choice
    ) -> Sequence[Classification]:
        with slots.heavy(request.environ, deadline) if is_long(tensor) else nullcontext():
            with metrics.stage("preprocess"):
                pixels = read_pixels(tensor, found.metadata.image, settings.max_images, deadline)
            return pixel_classifier.classify(pixels, found, deadline, choice)

    return routes


def _classification(outcome: Classification | ImageError, index: int) -> Classification:
    """Raise an image's error as the request's, and say which image it is: the protocol has no other place for it."""
    if isinstance(outcome, ImageError):
        raise type(outcome)(f'"{FILES}"[{index}]: {outcome}')
    return outcome


def _the_model_of(classifications: Sequence[Classification]) -> ServedModel:
    """The model that made all of them: the protocol's response has one version, and one width of probabilities."""
    model = classifications[-1].model
    if any(classification.model.version != model.version for classification in classifications):
        raise ModelUnavailable("MODEL_CHANGES", "the images of one inference request met several versions")
    return model
