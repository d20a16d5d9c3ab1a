"""What a network costs: parameters, multiplications, bytes, and milliseconds on the model server."""

import statistics
import time
from pathlib import Path

import keras
import numpy as np

from training.serving import served

_WARM, _MEASURED = 5, 40  # images, one at a time


def multiplications(model: keras.Model) -> float:
    """Multiply-accumulates for one image, in 10^9: those of convolutions and dense layers, which are nearly all."""
    total = 0
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.SeparableConv2D):
            kernels = [layer.depthwise_kernel, layer.pointwise_kernel]
        elif isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.Dense):
            kernels = [layer.kernel]
        else:
            continue
        # A kernel is applied once for each place of the output; its own size counts the channels.
        places = int(np.prod(layer.output.shape[1:-1]))
        total += places * sum(int(np.prod(kernel.shape)) for kernel in kernels)
    return total / 1e9


def size(version: Path) -> float:
    """Of a SavedModel's files, MB."""
    return sum(path.stat().st_size for path in version.rglob("*") if path.is_file()) / 1e6


def milliseconds(version: Path, side: int) -> float:
    """The median time of one image, asked for alone, from a portable model server on this machine by gRPC.

    Raises:
        ServingError: the server does not start, or does not answer.
    """
    image = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
    times = []
    with served(version) as model:
        for _ in range(_WARM + _MEASURED):
            started = time.perf_counter()
            model.probabilities(image)
            times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times[_WARM:])
