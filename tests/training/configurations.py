"""The configurations of small and quick runs."""

from typing import Any

from training.train.options import Configuration, Options, configure

SIDE = 32  # pixels


def configuration(model: str = "small", *, size: int | None = SIDE, **options: Any) -> Configuration:
    """In float32 on every machine, so that bounds on numbers hold."""
    return configure(model, Options(size=size, precision="float32", **options))
