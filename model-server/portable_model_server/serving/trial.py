"""What a model does with rows of noise: whether they can share a prediction."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from portable_model_server.engines.base import EngineError, LoadedModel, noise

# Rounding differs by far less between batches of different sizes, a batch's own mean and variance by far more.
_TOLERANCE = 1e-3


def rows_are_independent(model: LoadedModel, name: str) -> bool:
    """Whether two rows of noise come out of a batch as they do alone; this also prepares the engine for batches."""
    inputs = noise(model.signatures[name], rows=2)
    if inputs is None:
        return False
    names = tuple(model.signatures[name].outputs)
    try:
        alone = [
            model.predict(name, {alias: array[row : row + 1] for alias, array in inputs.items()}, names)
            for row in range(2)
        ]
        together = model.predict(name, inputs, names)
    except EngineError:
        return False
    return all(_alike(np.concatenate([row[alias] for row in alone]), together[alias]) for alias in names)


def _alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.dtype == object or one.shape != other.shape:
        return np.array_equal(one, other)
    scale = np.abs(one.astype(np.float64), where=np.isfinite(one), out=np.zeros(one.shape)).max(initial=1.0)
    return np.allclose(one, other, rtol=0, atol=_TOLERANCE * float(scale), equal_nan=True)
