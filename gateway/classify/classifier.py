"""Encoded images to classifications: preprocess, predict, and again if the model changed meanwhile."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from brain_tumor.calls import images_of_a_call
from brain_tumor.image import ImageError, Wanted
from brain_tumor.metadata import ImageSpec
from brain_tumor.preprocess import Prepared, Preprocessor
from brain_tumor.reference import brightness
from gateway.classify.changes import with_newest
from gateway.classify.choice import Choice, Describes, find_stable
from gateway.classify.classification import Classification, Outcome, observe
from gateway.classify.kept import Kept
from gateway.classify.overlay import MAX_SIDE, draw_overlay, encode
from gateway.deadline import Deadline
from gateway.metrics import Metrics
from gateway.model.responses import Prediction, ServedModel
from tracing.spans import span


class EmptyImage(ImageError):
    """No bytes at all."""


class CannotExplain(Exception):
    """The model offers no activation maps."""


class Model(Describes, Protocol):
    """Calls a model server, as ``ModelClient`` does."""

    def predict(
        self,
        model: ServedModel,
        images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
        *,
        explain: bool,
        deadline: Deadline,
    ) -> Prediction:
        """Classify images that were prepared for ``model``."""


@dataclass(frozen=True)
class Images:
    """The images of one request, and what is asked of them.

    Attributes:
        encoded: The images, as their files hold them.
        explain: Whether to draw overlays.
        page: Which image of a file with several, or which frame; 1 is the first, None the one that its format shows
            first, of a DICOM file the middle one.
        view: Whether to return the images as the model saw them.
    """

    encoded: Sequence[bytes]
    explain: bool = False
    page: int | None = None
    view: bool = False


class Classifier:
    """Classifies encoded images; safe to share between threads.

    Args:
        model_client: Calls the model server.
        metrics: Takes the times of the stages, and what the model says.
        max_pixels: Largest count of pixels in one image in memory.
        decoders: How many images are decoded at a time.
    """

    def __init__(self, model_client: Model, metrics: Metrics, *, max_pixels: int, decoders: int) -> None:
        self._client = model_client
        self._metrics = metrics
        self._max_pixels = max_pixels
        self._decoders = threading.BoundedSemaphore(decoders)
        self._preprocessors: dict[ImageSpec, Preprocessor] = {}  # of the two newest models; they hold nothing of images

    def classify(
        self,
        encoded: Sequence[bytes],
        *,
        explain: bool,
        deadline: Deadline,
        page: int | None = None,
        view: bool = False,
        choice: Choice = Choice(),  # noqa: B008 - it cannot change
    ) -> list[Outcome]:
        """Classify the images of one request; there is one outcome for each image, in order.

        Args:
            encoded: As in ``Images``.
            explain: As in ``Images``.
            deadline: Ends the work.
            page: As in ``Images``.
            view: As in ``Images``.
            choice: Which model the request may have.

        Raises:
            NotServed: It wants another model than there is.
            CannotExplain: Overlays were asked for, and the model offers no activation maps.
            ModelServerProblem: The model server gave no usable response.
            DeadlineExceeded: The deadline passed.
        """
        if choice.wanted is not None:
            find_stable(self._client, choice, deadline)
        outcomes = self.classify_by(self._client, Images(encoded, explain, page, view), deadline)
        observe(self._metrics, outcomes)
        return outcomes

    def classify_by(
        self, model_client: Model, images: Images, deadline: Deadline, kept: Kept | None = None
    ) -> list[Outcome]:
        """Classify images by a model server of the caller's choice, and count nothing; errors as of ``classify``.

        Args:
            model_client: Calls it.
            images: The images.
            deadline: Ends the work.
            kept: Has what was prepared already, and takes what is prepared now; None keeps nothing.
        """
        model = model_client.get(deadline)
        step = images_of_a_call(model.metadata.image)
        outcomes: list[Outcome] = []
        for start in range(0, len(images.encoded), step):
            indices = range(start, min(start + step, len(images.encoded)))
            attempt = partial(self._classify_batch, model_client, images, indices, deadline, kept)
            batch, model = with_newest(model, attempt)
            outcomes += batch
        return outcomes

    def _classify_batch(
        self,
        model_client: Model,
        images: Images,
        indices: range,
        deadline: Deadline,
        kept: Kept | None,
        model: ServedModel,
    ) -> tuple[list[Outcome], ServedModel]:
        """Classify some of the images in one call; return the model that they were prepared for too."""
        if images.explain and not model.metadata.explains:
            raise CannotExplain("The model cannot explain its predictions. Ask without explain=true.")
        preprocessor = self.preprocessor(model.metadata.image)
        with self._metrics.stage("preprocess"):
            outcomes = [self._prepare(images, index, preprocessor, deadline, kept) for index in indices]
        batches = [outcome.batch for outcome in outcomes if isinstance(outcome, Prepared)]
        if not batches:
            return [outcome for outcome in outcomes if isinstance(outcome, ImageError)], model
        with self._metrics.stage("predict"):
            prediction = model_client.predict(model, batches, explain=images.explain, deadline=deadline)
        with self._metrics.stage("postprocess"):
            rows = iter(range(len(batches)))
            return [
                outcome
                if isinstance(outcome, ImageError)
                else self._postprocess(outcome, prediction, next(rows), images.view)
                for outcome in outcomes
            ], model

    def preprocessor(self, spec: ImageSpec) -> Preprocessor:
        """What prepares images in this way."""
        preprocessor = self._preprocessors.get(spec)
        if preprocessor is None:
            preprocessor = Preprocessor(spec, self._max_pixels)
            newest = list(self._preprocessors.items())[-1:]
            self._preprocessors = {**dict(newest), spec: preprocessor}
        return preprocessor

    def _prepare(
        self, images: Images, index: int, preprocessor: Preprocessor, deadline: Deadline, kept: Kept | None
    ) -> Prepared | ImageError:
        """Prepare one image, unless that was done before."""
        if kept is None:
            return self._preprocess(images, index, preprocessor, deadline, None)
        prepared = kept.find(index, preprocessor.spec)
        if prepared is None:
            other = kept.second_way(preprocessor.spec)
            prepared = self._preprocess(images, index, preprocessor, deadline, other)
            kept.add(index, preprocessor.spec, prepared)
        return prepared

    def _preprocess(
        self, images: Images, index: int, preprocessor: Preprocessor, deadline: Deadline, other: Preprocessor | None
    ) -> Prepared | ImageError:
        """Decode and prepare one image."""
        data, view_side = images.encoded[index], MAX_SIDE if images.explain or images.view else None
        try:
            if not data:
                raise EmptyImage("The image is empty. Send the whole file.")
            with self._decoder(deadline):
                wanted = Wanted(deadline.remaining(), deadline.on_cancel)
                return preprocessor.prepare(data, images.page, view_side=view_side, wanted=wanted, other=other)
        except ImageError as error:
            deadline.remaining()  # an image that is not wanted any more is none that is too large or damaged
            return error

    def _postprocess(self, prepared: Prepared, prediction: Prediction, row: int, view: bool) -> Classification:
        """Take one image's row of a prediction, and draw its overlay and its view if they were asked for."""
        probabilities = prediction.probabilities[row]
        overlay = None
        if prediction.activation_maps is not None and prepared.view is not None:
            with span("overlay"):
                overlay = draw_overlay(prepared.view, prediction.activation_maps[row], int(probabilities.argmax()))
        score = float(prediction.out_of_distribution[row])
        seen = encode(prepared.view) if view and prepared.view is not None else None
        light = brightness(prepared.batch[0])
        return Classification(
            prediction.model, probabilities, score, overlay, prepared.facts, seen, light, prepared.size
        )

    @contextmanager
    def _decoder(self, deadline: Deadline) -> Iterator[None]:
        """Hold one of the permits to decode; wait for it until the deadline passes or the client leaves."""
        deadline.acquire(self._decoders)
        try:
            yield
        finally:
            self._decoders.release()
