"""POST /predict: receive the request, take its images out, classify them, respond."""

from typing import Any

from flask import Blueprint, request

from brain_tumor.image import ImageError
from gateway.classify.classifier import Classification, Classifier
from gateway.deadline import Deadline
from gateway.edge.messages import DEADLINE, REFUSED
from gateway.http.errors import problem
from gateway.http.logs import REQUEST_ID
from gateway.http.response import response_document
from gateway.images.from_request import ImageSource, InvalidRequest
from gateway.metrics import Metrics


def predict_routes(source: ImageSource, classifier: Classifier, metrics: Metrics, seconds: float) -> Blueprint:
    """Make the route of predictions.

    Args:
        source: Reads the images of a request.
        classifier: Classifies images.
        admission: Bounds how many requests are worked on at a time.
        metrics: Takes the times of the stages.
        seconds: Time limit for one response, from the moment its request is received.
    """
    routes = Blueprint("predict", __name__)

    @routes.post("/predict")
    def predict() -> dict[str, Any]:
        if refusal := request.environ.get(REFUSED):
            raise refusal
        explain = _flag("explain")
        deadline = request.environ.get(DEADLINE) or Deadline(seconds)
        with metrics.stage("source"):
            images = source.images(request, deadline)
        outcomes = classifier.classify(images, explain=explain, deadline=deadline)
        if len(outcomes) == 1 and isinstance(outcomes[0], ImageError):
            raise outcomes[0]
        documents = [_document(outcome) for outcome in outcomes]
        return documents[0] if len(documents) == 1 else {"predictions": documents}

    return routes


def _flag(name: str) -> bool:
    text = request.args.get(name, "false").lower()
    if text not in ("true", "false"):
        raise InvalidRequest(f"{name} must be true or false.")
    return text == "true"


def _document(outcome: Classification | ImageError) -> dict[str, Any]:
    if isinstance(outcome, ImageError):
        return problem(outcome, REQUEST_ID.get())
    return response_document(outcome, REQUEST_ID.get())
