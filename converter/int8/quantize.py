"""Post-training quantization of a whole graph, and the return of its most harmful layers to float."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converter.int8 import runtime
from converter.int8.guard import MAPS_CHANGED, changes
from converter.int8.runtime import Outputs, RangeEstimatorParametersSet, nncf
from converter.quiet import quiet

_RANKED_ON = 50  # images on which each layer's harm is measured; there are many layers
_MOST_RETURNED = 40  # layers that go back to float; with more of them int8 is no longer faster
_QUANTIZABLE = ("Convolution", "GroupConvolution", "MatMul")

# On a CPU without VNNI, two products of full 8-bit weights overflow the 16 bits they are added in. Weights of half the
# range cost little, and give the same numbers on every CPU: the guard judges on one and the model is served on others.
_PARAMETERS = {
    "overflow_fix": nncf.OverflowFix.ENABLE,
    # By default NNCF cuts the largest values off, at the mean of the images' ranges: many images get one OOD score.
    "activations_range_estimator_params": RangeEstimatorParametersSet.MINMAX,
}


def quantized(model: Any, pixels: NDArray[np.uint8]) -> Any:
    """The model with every layer in int8 that can be.

    Args:
        model: A model of OpenVINO in float32.
        pixels: The images that calibrate it, uint8 (image, height, width, 3).
    """
    with quiet():
        return nncf.quantize(
            model,
            nncf.Dataset([pixels[index : index + 1] for index in range(len(pixels))]),
            subset_size=len(pixels),
            ignored_scope=_ends(model),
            advanced_parameters=nncf.AdvancedQuantizationParameters(**_PARAMETERS),
        )


def partly_quantized(model: Any, pixels: NDArray[np.uint8], float32: Outputs, most_harm: float) -> Any:
    """The model in int8, but for the layers whose quantization does the most harm, in the order of their harm.

    Args:
        model: A model of OpenVINO in float32.
        pixels: The images that calibrate it; the harm is measured on them, too, and not on those that judge it.
        float32: The model's outputs for these images.
        most_harm: The mean of ``harms`` on these images at which layers stop going back to float.
    """
    images = [(pixels[index : index + 1], index) for index in range(len(pixels))]
    dataset = nncf.Dataset(images, lambda image: image[0])

    def benefit(compiled: Any, chosen: Iterable[tuple[NDArray[np.uint8], int]]) -> tuple[float, list[float]]:
        indices, outputs = [], []
        for image, index in chosen:
            indices.append(index)
            outputs.append(runtime.of_results(compiled(image), compiled.outputs))
        each = 1 - harms(float32.only(indices), runtime.joined(outputs))
        return float(each.mean()), each.tolist()

    with quiet():
        return nncf.quantize_with_accuracy_control(
            model,
            dataset,
            dataset,
            benefit,
            max_drop=most_harm,
            subset_size=len(pixels),
            ignored_scope=_ends(model),
            advanced_quantization_parameters=nncf.AdvancedQuantizationParameters(**_PARAMETERS),
            advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                max_num_iterations=_MOST_RETURNED, ranking_subset_size=_RANKED_ON, num_ranking_workers=1
            ),
        )


def harms(float32: Outputs, int8: Outputs) -> NDArray[np.float64]:
    """How far each image's response is from float32's, 0 to 1, (image,).

    It is the probability that moved to other classes, or, where that is more, how much the drawn map changed.
    """
    moved = np.abs(int8.probabilities - float32.probabilities).sum(1) / 2
    return np.maximum(moved, changes(float32, int8).get(MAPS_CHANGED, 0.0))


def layers(model: Any) -> tuple[int, list[str]]:
    """How many of a model's layers are in int8, and the names of those that are not; the last ones do not count."""
    ends = {operation.get_friendly_name() for operation in _last_layers(model)}
    found = [
        operation
        for operation in model.get_ordered_ops()
        if operation.get_type_name() in _QUANTIZABLE and operation.get_friendly_name() not in ends
    ]
    kept = [operation.get_friendly_name() for operation in found if not _has_int8_input(operation)]
    return len(found) - len(kept), kept


def _ends(model: Any) -> Any:
    """The last layers, which stay in float: they cost next to nothing, and only so do maps and logits still agree."""
    return nncf.IgnoredScope(names=[operation.get_friendly_name() for operation in _last_layers(model)])


def _last_layers(model: Any) -> list[Any]:
    """The layers that no other layer lies behind, on the way to any output."""
    found: dict[str, Any] = {}
    waiting = [port.node for port in model.outputs]
    seen: set[str] = set()
    while waiting:
        operation = waiting.pop()
        name = operation.get_friendly_name()
        if name in seen:
            continue
        seen.add(name)
        if operation.get_type_name() in _QUANTIZABLE:
            found[name] = operation
        else:
            waiting += [port.get_node() for port in operation.input_values()]
    return list(found.values())


def _has_int8_input(operation: Any) -> bool:
    """Whether what a layer computes on went through a quantizer; operations that only move numbers lie between."""
    source = operation.input_value(0).get_node()
    while source.get_type_name() in ("Reshape", "Transpose", "Pad", "MaxPool", "Squeeze", "Unsqueeze"):
        source = source.input_value(0).get_node()
    return source.get_type_name() == "FakeQuantize"
