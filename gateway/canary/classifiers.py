"""Classifies with whichever of two models has its turn; routes use it in the place of a classifier of one model."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from brain_tumor.image import ImageTooLarge
from gateway.canary.attempt import Attempt, CanaryFailed
from gateway.canary.canary import Canary, Turn, check_binding
from gateway.canary.shadow import Shadow
from gateway.classify.choice import CANARY, STABLE, Choice
from gateway.classify.classification import Classification, Outcome, observe
from gateway.classify.classifier import Classifier, Images
from gateway.classify.kept import HeldPixels, Kept
from gateway.classify.pixels import PixelClassifier
from gateway.deadline import Deadline
from gateway.metrics import Metrics
from gateway.metrics.canary import FAILED, SKIPPED
from gateway.model.responses import ServedModel

T = TypeVar("T", bound=Outcome)


class CanaryClassifier:
    """Classifies encoded images; safe to share between threads.

    Args:
        classifier: Classifies them with the model that it is given.
        canary: The canary, and the stable model.
        metrics: Counts what is answered.
    """

    def __init__(self, classifier: Classifier, canary: Canary, metrics: Metrics) -> None:
        self._classifier = classifier
        self._canary = canary
        self._metrics = metrics

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
        """Classify the images of one request with one of the models; as ``Classifier.classify``.

        Raises:
            ModelUnavailable: Also where the request is bound to the canary, which does not answer.
        """
        images = Images(encoded, explain, page, view)
        turn = self._canary.turn(choice, deadline)
        with self._keeping(turn) as kept:
            if turn is Turn.CANARY:
                unusable: list[Outcome] = []
                answered = self._canary.answer(
                    deadline, len(encoded), lambda attempt: self._ask(attempt, images, deadline, kept, unusable)
                )
                if answered is not None:
                    return finished(answered, CANARY, self._canary, self._metrics)
                if choice.is_binding and unusable:
                    return unusable  # the images are at fault, and no other model may say so
                check_binding(choice)
            outcomes = self._classifier.classify_by(self._canary.stable, images, deadline, kept)
            if turn is Turn.SHADOWED and kept:
                self._shadow(choice, outcomes, kept, explain)
            return finished(outcomes, STABLE, self._canary, self._metrics)

    def _ask(
        self, attempt: Attempt, images: Images, deadline: Deadline, kept: Kept | None, unusable: list[Outcome]
    ) -> list[Outcome]:
        outcomes = self._classifier.classify_by(attempt, images, deadline, kept)
        check_one_model(outcomes)
        # What cannot be used, the stable model says; the canary may take images in a way that needs more memory.
        if not any(isinstance(outcome, Classification) for outcome in outcomes):
            unusable += outcomes
            raise CanaryFailed("", "no image can be used")
        if any(isinstance(outcome, ImageTooLarge) for outcome in outcomes):
            unusable += outcomes
            raise CanaryFailed(SKIPPED, "an image is too large")
        return outcomes

    def _shadow(self, choice: Choice, outcomes: Sequence[Outcome], kept: Kept, explain: bool) -> None:
        made = [outcome for outcome in outcomes if isinstance(outcome, Classification)]
        if not made:
            return
        spec = (self._canary.model or made[0].model).metadata.image
        held = kept.hand_over(spec, len(made))
        shadow = Shadow(held, [outcome.probabilities for outcome in made], explain) if held else None
        self._canary.shadow(choice, shadow)

    @contextmanager
    def _keeping(self, turn: Turn) -> Iterator[Kept | None]:
        """What keeps the images of a request that a second model may get."""
        if turn is Turn.STABLE:
            yield None
            return
        second = self._canary.model if turn is Turn.SHADOWED else self._canary.stable_model
        other = self._classifier.preprocessor(second.metadata.image) if second else None
        kept = Kept(self._canary.budget, other)
        try:
            yield kept
        finally:
            kept.release()


class CanaryPixelClassifier:
    """Classifies prepared images; safe to share between threads.

    Args:
        classifier: Classifies them with the model that it is given.
        canary: The canary, and the stable model.
        metrics: Counts what is answered.
    """

    def __init__(self, classifier: PixelClassifier, canary: Canary, metrics: Metrics) -> None:
        self._classifier = classifier
        self._canary = canary
        self._metrics = metrics

    def classify(
        self,
        pixels: NDArray[np.uint8],
        model: ServedModel,
        deadline: Deadline,
        choice: Choice = Choice(),  # noqa: B008 - it cannot change
    ) -> list[Classification]:
        """Classify the images of one request with one of the models; as ``PixelClassifier.classify``.

        Only a model that takes its images in the same way as ``model`` gets them.

        Raises:
            ModelUnavailable: Also where the images suit the canary alone, or the request is bound to it, and it does
                not answer.
        """
        turn = self._canary.turn(choice, deadline)
        if turn is Turn.CANARY:
            answered = self._canary.answer(
                deadline, len(pixels), lambda attempt: self._ask(attempt, pixels, model, deadline)
            )
            if answered is not None:
                return finished(answered, CANARY, self._canary, self._metrics)
            check_binding(choice)
            stable = self._canary.stable.get(deadline)
            if not stable.accepts_images_of(model):
                check_binding(replace(choice, is_binding=True))
            model = stable
        made = self._classifier.classify_by(self._canary.stable, pixels, model, deadline)
        if turn is Turn.SHADOWED:
            self._shadow(choice, pixels, made)
        return finished(made, STABLE, self._canary, self._metrics)

    def _ask(
        self, attempt: Attempt, pixels: NDArray[np.uint8], model: ServedModel, deadline: Deadline
    ) -> list[Classification]:
        own = attempt.get(deadline)
        if not own.accepts_images_of(model):
            raise CanaryFailed("", "it takes images in another way")
        made = self._classifier.classify_by(attempt, pixels, own, deadline)
        check_one_model(made)
        return made

    def _shadow(self, choice: Choice, pixels: NDArray[np.uint8], made: Sequence[Classification]) -> None:
        own = self._canary.model
        if own and not own.accepts_images_of(made[0].model):
            return
        budget, size = self._canary.budget, pixels.nbytes
        if not budget.take(size):
            self._canary.shadow(choice, None)
            return
        # Copies: the pixels are a view of the request's body, which may be larger by far.
        each = [pixels[index : index + 1].copy() for index in range(len(pixels))]
        held = HeldPixels(made[0].model.metadata.image, each, budget, size)
        self._canary.shadow(choice, Shadow(held, [outcome.probabilities for outcome in made], explain=False))


def check_one_model(outcomes: Sequence[Outcome]) -> None:
    """Check that one model version made all classifications of a request.

    Raises:
        CanaryFailed: The canary changed meanwhile.
    """
    versions = {outcome.model.version for outcome in outcomes if isinstance(outcome, Classification)}
    if len(versions) > 1:
        raise CanaryFailed(FAILED, "the images of one request met several versions")


def finished(outcomes: Sequence[T], label: str, canary: Canary, metrics: Metrics) -> list[T]:
    """The outcomes of a request with the label of the model that made them; they are counted."""
    version = None
    stable, made = canary.stable_model, [outcome for outcome in outcomes if isinstance(outcome, Classification)]
    if label == CANARY and stable and made and made[0].model.version == stable.version:
        # One number on two model servers is two models, and each has histograms of its own.
        version = f"{stable.version}-{CANARY}"
    observe(metrics, outcomes, version)
    return [replace(outcome, label=label) if isinstance(outcome, Classification) else outcome for outcome in outcomes]
