"""POST /predict: take the images out of the request, fetch those behind URLs, classify them, respond."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol
from wsgiref.types import WSGIEnvironment

from flask import Blueprint, Response, request

from brain_tumor.image import is_heavy
from gateway.classify.choice import Choice
from gateway.classify.classification import Classification, Outcome
from gateway.deadline import Deadline
from gateway.edge.messages import DEADLINE
from gateway.http.choice import read_choice
from gateway.http.documents import Prediction, Predictions, ProblemDetails, respond
from gateway.http.errors import problem, reason
from gateway.http.operations import declared
from gateway.http.options import read_options
from gateway.http.predict_operation import predict_operation
from gateway.http.response import response_document
from gateway.images.from_request import ImageSource
from gateway.logs.lines import REQUEST_ID
from gateway.metrics import Metrics


class Slots(Protocol):
    """Other slots than the one that each request holds while it is worked on."""

    def fetching(self, environ: WSGIEnvironment, deadline: Deadline) -> AbstractContextManager[object]:
        """In the block the request holds a slot for fetches instead; after it, it has its own again."""

    def heavy(self, environ: WSGIEnvironment, deadline: Deadline) -> AbstractContextManager[object]:
        """In the block the request holds a slot for heavy images instead."""


class Classifies(Protocol):
    """Classifies encoded images, as ``Classifier`` does."""

    def classify(
        self,
        encoded: Sequence[bytes],
        *,
        explain: bool,
        deadline: Deadline,
        page: int | None = None,
        view: bool = False,
        choice: Choice = ...,
    ) -> list[Outcome]:
        """Classify the images of one request."""


class NoSlots:
    """For an application that bounds nothing."""

    def fetching(self, environ: WSGIEnvironment, deadline: Deadline) -> AbstractContextManager[object]:
        """Fetch at once."""
        return nullcontext()

    heavy = fetching


def predict_routes(
    source: ImageSource, classifier: Classifies, metrics: Metrics, seconds: float, slots: Slots
) -> Blueprint:
    """Make the route of predictions.

    Args:
        source: Reads and fetches the images of a request.
        classifier: Classifies images.
        metrics: Takes the times of the stages, and the images of lists that get no prediction.
        seconds: Time limit for one response, where the edge has set no deadline.
        slots: Bound how many requests fetch, or have heavy images, at a time.
    """
    routes = Blueprint("predict", __name__)

    @routes.post("/predict", strict_slashes=False)
    @declared(predict_operation(source.max_images))
    def predict() -> Response:
        deadline = request.environ.get(DEADLINE) or Deadline(seconds)
        with metrics.stage("source"):
            sent = source.read(request)
        options = read_options(request.args.to_dict(), sent.options)
        choice = read_choice(request)
        images: list[Any] = sent.items
        if sent.has_urls:
            with slots.fetching(request.environ, deadline), metrics.stage("fetch"):
                images = source.fetch(sent.items, deadline)
        encoded = [image for image in images if isinstance(image, bytes)]
        heavy = is_heavy(encoded, options.page)
        with slots.heavy(request.environ, deadline) if heavy else nullcontext():
            predictions = iter(
                classifier.classify(
                    encoded,
                    explain=options.explain,
                    deadline=deadline,
                    page=options.page,
                    view=options.view,
                    choice=choice,
                )
                if encoded
                else ()
            )
        outcomes = [next(predictions) if isinstance(image, bytes) else image for image in images]
        if not sent.listed and isinstance(outcomes[0], Exception):
            raise outcomes[0]
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                metrics.refused(reason(outcome))
        documents = [_document(outcome) for outcome in outcomes]
        return respond(Predictions(predictions=documents) if sent.listed else documents[0])

    return routes


def _document(outcome: Classification | Exception) -> Prediction | ProblemDetails:
    if isinstance(outcome, Exception):
        return problem(outcome, REQUEST_ID.get())
    return response_document(outcome, REQUEST_ID.get())
