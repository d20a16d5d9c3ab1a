"""The canary beside the stable model: whose turn a request is, and what becomes of it.

A canary costs no request. Whatever it does, in time or not, it ends in ``None`` here, and the stable model answers.
"""

from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import TypeVar

from gateway.canary.attempt import PART_OF_TIME, Attempt
from gateway.canary.health import Health
from gateway.canary.shadow import Shadow, Shadows
from gateway.canary.shares import Shares
from gateway.canary.times import TimedModel, Times
from gateway.classify.choice import CANARY, FRESH, LABELS, Choice, find_stable, not_served
from gateway.classify.kept import ByteBudget
from gateway.deadline import ClientLeft, Deadline, DeadlineExceeded
from gateway.metrics import Metrics
from gateway.metrics.canary import ANSWERED, DROPPED, SKIPPED, SLOW
from gateway.model.client import ModelClient
from gateway.model.responses import ModelServerProblem, ModelUnavailable, ServedModel

T = TypeVar("T")


class Turn(Enum):
    """Who gets a request."""

    STABLE = auto()
    SHADOWED = auto()  # the stable model, and the canary too once the client has its response
    CANARY = auto()


class Canary:
    """A second model server, or a second version; safe to share between threads.

    Args:
        client: Calls it.
        stable: Calls the first.
        shares: Gives the shares, each time that they are needed.
        metrics: Counts what happens.
        requests: How many requests are worked on at a time.
        seconds: How long the shadow work of one request may take.

    Attributes:
        stable: Calls the stable model, and takes the times of the calls.
        budget: Bounds what is kept of images for a second model.
    """

    def __init__(
        self,
        client: ModelClient,
        stable: ModelClient,
        shares: Callable[[], Shares],
        metrics: Metrics,
        *,
        requests: int,
        seconds: float,
    ) -> None:
        self._client = client
        self._stable = stable
        self._shares = shares
        self._metrics = metrics.canary
        self._times = Times(self._metrics)
        self._health = Health(requests)
        self._shadows = Shadows(self._attempt, self._health, self._metrics, seconds)
        self.stable = TimedModel(stable, self._times)
        self.budget = ByteBudget()
        self._metrics.show(LABELS)

    @property
    def model(self) -> ServedModel | None:
        """The canary's model as last seen, without a call; None before its first response."""
        return self._client.cached

    @property
    def stable_model(self) -> ServedModel | None:
        """The stable model as last seen, without a call; None before its first response."""
        return self._stable.cached

    def turn(self, choice: Choice, deadline: Deadline) -> Turn:
        """Decide who gets a request.

        Raises:
            NotServed: It wants a version that there is not.
            ModelServerProblem: The stable model gave no usable response.
            DeadlineExceeded: The deadline passed.
        """
        shares = self._shares()
        is_canary_s = self._is_chosen(choice, deadline)
        if is_canary_s is None:
            is_canary_s = shares.is_canary_s_turn(choice.routing_key)
        if is_canary_s:
            return Turn.CANARY
        return Turn.SHADOWED if shares.is_shadowed() else Turn.STABLE

    def find(self, choice: Choice, deadline: Deadline, max_age: float | None = None) -> ServedModel:
        """The model that a request's images must suit where its client prepares them: the canary's only by its choice.

        Args:
            choice: What the request says.
            deadline: Ends the work.
            max_age: As of ``find_stable``, and so are other errors.

        Raises:
            ModelUnavailable: The request is bound to the canary, which does not respond.
        """
        if not self._is_chosen(choice, deadline):
            return find_stable(self._stable, choice, deadline, max_age)
        if model := (self._client.cached if max_age is None else None) or self._checked():
            return model
        check_binding(choice)
        return self._stable.get(deadline, max_age)

    def answer(self, deadline: Deadline, images: int, work: Callable[[Attempt], list[T]]) -> list[T] | None:
        """Do a request's work with the canary.

        Args:
            deadline: Ends the work.
            images: How many images the request has.
            work: Does it, with what it gets in the place of a model client; its result counts if it has one.

        Returns:
            None where the stable model must do it.

        Raises:
            ClientLeft: Nobody waits for the response.
            DeadlineExceeded: The deadline passed.
            ModelServerProblem: The stable model, which has never responded, does not either.
        """
        attempt = self._attempt(deadline, images, PART_OF_TIME)
        if not self._health.enter(self._shares().share):
            self._metrics.requested(SKIPPED)
            return None
        outcome = ""
        try:
            done = work(attempt)
            outcome = ANSWERED
            return done
        except ClientLeft:
            outcome = SLOW if attempt.was_slow else ""
            raise
        except DeadlineExceeded:
            raise
        except Exception as error:  # whatever it is, it is no reason for the client to get nothing
            outcome = self._health.outcome_of(error)
            return None
        finally:
            self._health.leave(outcome)
            if outcome:
                self._metrics.requested(outcome)

    def shadow(self, choice: Choice, shadow: Shadow | None) -> None:
        """Let the canary get a request too, once its client has the response.

        Args:
            choice: Says when that is.
            shadow: The request; None if its pixels could not be kept.
        """
        if shadow is None:
            self._metrics.shadowed(DROPPED)
        else:
            choice.afterwards(lambda: self._shadows.add(shadow))

    def _attempt(self, deadline: Deadline, images: int, part_of_time: float = 1.0) -> Attempt:
        return Attempt(self._client, self._now(deadline), self._times, part_of_time * deadline.remaining(), images)

    def _now(self, deadline: Deadline) -> ServedModel:
        """The stable model; as last seen where it does not respond now."""
        try:
            return self._stable.get(deadline)
        except ModelServerProblem:
            if last := self._stable.cached:
                return last
            raise

    def _is_chosen(self, choice: Choice, deadline: Deadline) -> bool | None:
        """Whether a request wants the canary; None if it does not say."""
        if choice.wanted is None:
            return None
        if choice.version is None:
            return choice.wanted == CANARY
        stable = self._now(deadline)
        if choice.version == str(stable.version):
            return False
        if any(model and choice.version == str(model.version) for model in self._seen()):
            return True
        stable = self._stable.get(deadline, FRESH)
        if choice.version == str(stable.version):
            return False
        raise not_served(*filter(None, (stable, self._client.cached)))

    def _seen(self) -> Iterator[ServedModel | None]:
        """The canary's model as last seen, and then as it is now."""
        yield self._client.cached
        yield self._checked()

    def _checked(self) -> ServedModel | None:
        """The canary's model about now; None if it does not respond. Cheap for any number of callers."""
        try:
            return self._client.check()
        except ModelServerProblem:
            return None


def check_binding(choice: Choice) -> None:
    """Check that another model than the canary may respond to a request.

    Raises:
        ModelUnavailable: It is bound to the canary.
    """
    if choice.is_binding:
        raise ModelUnavailable("CANARY", "a request was bound to the canary, which does not answer")
