"""POST /predict: source, image, predict, answer."""

from typing import Any

from flask import Blueprint, request

from brain_tumor.image import ImageError
from gateway.admission import Admission
from gateway.answer import answer
from gateway.deadline import Deadline
from gateway.errors import problem
from gateway.image_source import ImageSource, InvalidRequest
from gateway.logs import REQUEST_ID
from gateway.metrics import Metrics
from gateway.prediction import Classification, Classifier


def predict_routes(
    source: ImageSource, classifier: Classifier, admission: Admission, metrics: Metrics, seconds: float
) -> Blueprint:
    """The route of predictions.

    Args:
        seconds: for one answer, from the moment its request is received.
    """
    routes = Blueprint("predict", __name__)

    @routes.post("/predict")
    def predict() -> dict[str, Any]:
        explain = _flag("explain")
        with admission.place():
            with metrics.stage("receive"):
                source.receive(request)
            deadline = Deadline(seconds)
            with metrics.stage("source"):
                images = source.images(request, deadline)
            outcomes = classifier.classify(images, explain=explain, deadline=deadline)
        if len(outcomes) == 1:
            return _answer_or_raise(outcomes[0])
        return {"predictions": [_answer_or_problem(outcome) for outcome in outcomes]}

    return routes


def _flag(name: str) -> bool:
    text = request.args.get(name, "false").lower()
    if text not in ("true", "false"):
        raise InvalidRequest(f"{name} must be true or false.")
    return text == "true"


def _answer_or_raise(outcome: Classification | ImageError) -> dict[str, Any]:
    if isinstance(outcome, ImageError):
        raise outcome
    return answer(outcome, REQUEST_ID.get())


def _answer_or_problem(outcome: Classification | ImageError) -> dict[str, Any]:
    if isinstance(outcome, ImageError):
        return problem(outcome, REQUEST_ID.get())
    return answer(outcome, REQUEST_ID.get())
