"""The scaling of pixels 0..255 to the numbers that the model expects, where the model leaves it to its caller.

It stays an operation of its own: merged into the first convolution, it saved no measurable time on either engine.
"""

from collections.abc import Callable
from typing import Any

import keras

from converter.keras_graph import Graph, Node

_WHITE = 255.0


def with_scaling(graph: Graph, scaling: str) -> Graph:
    """The graph with a scaling before it, so that it takes pixels 0..255.

    Args:
        graph: The graph of a model that expects scaled pixels.
        scaling: One of ``brain_tumor.metadata.SCALINGS``.
    """
    if scaling == "none":
        return graph
    pixels = keras.Input(batch_shape=graph.input.shape, dtype="float32")
    return Graph(pixels, (Node(scaler(scaling), (pixels,), {}, graph.input), *graph.nodes), graph.output)


def scaler(scaling: str) -> Callable[[Any], Any]:
    """The function for one of the ``metadata.SCALINGS``: from float32 pixels 0..255, (..., 3), to scaled ones."""
    if scaling == "none":
        return lambda pixels: pixels
    if scaling == "unit":
        return lambda pixels: pixels / _WHITE
    return lambda pixels: keras.applications.imagenet_utils.preprocess_input(
        pixels, data_format="channels_last", mode=scaling
    )


def is_unscaled(graph: Graph) -> bool:
    """Whether the first convolution reads the pixels as they are, perhaps padded."""
    first = next((node for node in graph.nodes if type(node.operation) is keras.layers.Conv2D), None)
    if first is None:
        return False
    tensor = first.args[0]
    while (node := graph.producer(tensor)) and type(node.operation) is keras.layers.ZeroPadding2D:
        tensor = node.args[0]
    return tensor is graph.input
