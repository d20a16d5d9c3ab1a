"""Layers that do nothing when a model predicts, removed: dropout, noise and augmentation."""

import keras

from converter.graph.keras_graph import Graph

# Keras' layers that return their input unchanged when predicting, as their code in Keras 3.15 says. RandomCrop is not
# among them (it resizes), nor are AutoContrast and CLAHE (they always work).
INACTIVE = frozenset(
    {
        "ActivityRegularization",
        "AlphaDropout",
        "AugMix",
        "CutMix",
        "Dropout",
        "Equalization",
        "GaussianDropout",
        "GaussianNoise",
        "Identity",
        "MixUp",
        "RandAugment",
        "RandomBrightness",
        "RandomColorDegeneration",
        "RandomColorJitter",
        "RandomContrast",
        "RandomElasticTransform",
        "RandomErasing",
        "RandomFlip",
        "RandomGaussianBlur",
        "RandomGrayscale",
        "RandomHue",
        "RandomInvert",
        "RandomPerspective",
        "RandomPosterization",
        "RandomRotation",
        "RandomSaturation",
        "RandomSharpness",
        "RandomShear",
        "RandomTranslation",
        "RandomZoom",
        "Solarization",
        "SpatialDropout2D",
    }
)
_CLASSES = tuple(getattr(keras.layers, name) for name in sorted(INACTIVE))


def drop_inactive(graph: Graph) -> Graph:
    """The graph without the layers that do nothing when the model predicts."""
    while node := next((node for node in graph.nodes if type(node.operation) in _CLASSES), None):
        graph = graph.bypass(node)
    return graph
