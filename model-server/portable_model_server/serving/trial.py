"""What a model does with rows of noise: whether they can share a prediction, and whether each costs its own time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portable_model_server.engines.base import EngineError, LoadedModel, noise

# Rounding differs by far less between batches of different sizes, a batch's own mean and variance by far more.
_TOLERANCE = 1e-3
# Two rows take 1.5 to 2 times as long as one where a network computes on images, and hardly longer where it mostly
# reads its weights, as dense layers do.
_COSTLY = 1.3
_TIMES = 2


@dataclass(frozen=True)
class Trial:
    """What two rows of noise showed.

    Attributes:
        independent: Whether they come out of a batch as they do alone.
        costly: Whether the second one takes its own time, so that a large batch is hardly faster than its parts.
    """

    independent: bool
    costly: bool


def try_rows(model: LoadedModel, name: str, clock: Callable[[], float]) -> Trial | None:
    """Run a signature on two rows, alone and together, which also prepares the engine; None if it takes no noise.

    Args:
        model: The model.
        name: The signature; all its tensors have rows.
        clock: Seconds.
    """
    inputs = noise(model.signatures[name], rows=2)
    if inputs is None:
        return None
    names = tuple(model.signatures[name].outputs)
    rows = [{alias: array[row : row + 1] for alias, array in inputs.items()} for row in range(2)]
    seconds: dict[bool, list[float]] = {False: [], True: []}
    try:
        alone = [model.predict(name, row, names) for row in rows]
        together = model.predict(name, inputs, names)
        for _ in range(_TIMES):
            for both, given in ((False, rows[0]), (True, inputs)):
                started = clock()
                model.predict(name, given, names)
                seconds[both].append(clock() - started)
    except EngineError:
        return None
    return Trial(
        independent=all(_alike(np.concatenate([row[alias] for row in alone]), together[alias]) for alias in names),
        costly=min(seconds[True]) > _COSTLY * min(seconds[False]),
    )


def _alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.dtype == object or one.shape != other.shape:
        return np.array_equal(one, other)
    scale = np.abs(one.astype(np.float64), where=np.isfinite(one), out=np.zeros(one.shape)).max(initial=1.0)
    return np.allclose(one, other, rtol=0, atol=_TOLERANCE * float(scale), equal_nan=True)
