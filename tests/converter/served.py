"""A network taken through the converter, and what it then gives on both engines."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brain_tumor.contract import ACTIVATION_MAPS, PROBABILITIES
from brain_tumor.metadata import ImageSpec, ModelMetadata
from converter.check.verify import expected_outputs, synthetic_images, verify
from converter.graph.head import Head
from converter.graph.scaling import network_input
from converter.read.network import Network
from converter.write.saved_model import write_saved_model
from tests.converter.compare import TOLERANCE, by_openvino, by_tensorflow
from tests.converter.compare import synthetic_images as other_images


@dataclass(frozen=True)
class Served:
    """What a network's SavedModel gives.

    Attributes:
        folder: The SavedModel.
        head: The network's head.
        own: The network's own output for the same images, (image, output).
        maps: The activation maps, (image, h, w, class); None where there are none.
    """

    folder: Path
    head: Head
    own: Any
    maps: Any


def serve(folder: Path, network: Network, side: int = 16, scaling: str = "none") -> Served:
    """Write a SavedModel, check it as the converter does, and compare both engines with the network on other images."""
    height, width = network.height or side, network.width or side
    head = network.head(height, width)
    metadata = ModelMetadata(
        tuple(f"class {index}" for index in range(max(network.outputs, 2))),
        ImageSpec(height, width),
        scaling=scaling,
        explains=head.explains,
        out_of_distribution_score=head.ood_score,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_saved_model(folder, head, metadata)
    images = synthetic_images(height, width)
    verify(folder, expected_outputs(network, head, scaling, images), head, metadata, images)
    images = other_images(height, width)
    own = np.asarray(network.predict(network_input(images, head.channels, scaling, "float32")))
    expected = head.probabilities(own.astype(np.float64))
    assert expected.std(0).max() > 0.02, "the images must not all give the same"
    outputs = [by_tensorflow(folder, images), by_openvino(folder, images)]
    for output in outputs:
        np.testing.assert_allclose(output[PROBABILITIES], expected, atol=TOLERANCE)
    return Served(folder, head, own, outputs[0].get(ACTIVATION_MAPS))
