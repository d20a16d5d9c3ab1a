"""Layers that do nothing when a model predicts, removed: dropout, noise and augmentation."""

import keras

from converter.keras_graph import Graph

# Layers that return their input unchanged when predicting.
_INACTIVE = (
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.RandomBrightness,
    keras.layers.RandomContrast,
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
    keras.layers.SpatialDropout2D,
)


def drop_inactive(graph: Graph) -> Graph:
    """The graph without the layers that do nothing when the model predicts."""
    while node := next((node for node in graph.nodes if type(node.operation) in _INACTIVE), None):
        graph = graph.bypass(node)
    return graph
