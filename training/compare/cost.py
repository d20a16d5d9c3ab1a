"""The cost of a network: multiplications, bytes, and milliseconds on the model server."""

import statistics
import time
from pathlib import Path

import keras
import numpy as np

from training.serving import served

_WARMUP, _MEASURED = 5, 40  # requests for one image, one at a time


def multiplications(model: keras.Model) -> float:
    """Multiply-accumulates for one image, in 10^9, of convolutions and dense layers, which do nearly all of them."""
    total = 0
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.SeparableConv2D):
            kernels = [layer.depthwise_kernel, layer.pointwise_kernel]
        elif isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.Dense):
            kernels = [layer.kernel]
        else:
            continue
        # A kernel is applied once for each position of the output; its own size includes the channels.
        positions = int(np.prod(layer.output.shape[1:-1]))
        total += positions * sum(int(np.prod(kernel.shape)) for kernel in kernels)
    return total / 1e9


def size(version: Path) -> float:
    """The size of a SavedModel's files, in MB."""
    return sum(path.stat().st_size for path in version.rglob("*") if path.is_file()) / 1e6


def milliseconds(version: Path, side: int) -> float:
    """The median time of a gRPC request for one image to a portable model server on this machine, in milliseconds.

    Args:
        version: The version's folder.
        side: Height and width of the image, in pixels.

    Raises:
        ServingError: The server does not start, or gives no prediction.
    """
    image = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
    times = []
    with served(version) as model:
        for _ in range(_WARMUP + _MEASURED):
            started = time.perf_counter()
            model.probabilities(image)
            times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times[_WARMUP:])
