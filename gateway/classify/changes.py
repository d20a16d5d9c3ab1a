"""A model that is replaced while a request is on its way: what was prepared for the old one is done again."""

from collections.abc import Callable
from typing import TypeVar

from gateway.model.client import ModelChanged
from gateway.model.responses import ModelUnavailable, ServedModel

# A model that changes more often than this within one request is not served by repeating.
_MAX_ATTEMPTS = 4
T = TypeVar("T")


def with_newest(model: ServedModel, attempt: Callable[[ServedModel], T]) -> T:
    """Do something with a model, and again with the newer one each time that it turns out to have changed.

    Args:
        model: The model, as last seen.
        attempt: What to do; raises ``ModelChanged`` where another model has responded.

    Raises:
        ModelUnavailable: It changes again and again.
    """
    for _ in range(_MAX_ATTEMPTS):
        try:
            return attempt(model)
        except ModelChanged as change:
            model = change.model
    raise ModelUnavailable("MODEL_CHANGES", "the model server's model keeps changing")
