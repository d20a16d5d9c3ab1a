"""OpenVINO and NNCF without their telemetry, and a model's outputs as the portable server has them."""

import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain_tumor import contract
from brain_tumor.metadata import ModelMetadata

# `import openvino` also imports its converter, which reports each import over the network, and NNCF reports each
# quantization. The entry None makes these imports fail, and both packages cope with that.
for _name in ("openvino.tools.ovc", "openvino_telemetry"):
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]

import nncf as nncf  # noqa: E402 - after its telemetry is shut off
import openvino  # noqa: E402
from nncf.quantization.range_estimator import RangeEstimatorParametersSet as RangeEstimatorParametersSet  # noqa: E402
from openvino import opset13  # noqa: E402

nncf.set_log_level(logging.ERROR)  # it logs to the terminal by itself

_BATCH = 4  # images at once; it bounds the memory for the activations of a large model
_PROPERTIES = {"INFERENCE_PRECISION_HINT": "f32"}  # as in the portable server: else bfloat16 where the CPU has it
_TIMED = 20  # calls
_SMALLEST = float(np.finfo(np.float32).tiny)  # a probability of 0 has no logarithm


@dataclass(frozen=True)
class Outputs:
    """What a model gives for images.

    Attributes:
        probabilities: float64 (image, class).
        scores: The OOD scores, float64 (image,).
        maps: The activation maps, float64 (image, h, w, class); None where the model has none.
    """

    probabilities: NDArray[np.float64]
    scores: NDArray[np.float64]
    maps: NDArray[np.float64] | None

    def logits(self, temperature: float) -> NDArray[np.float64]:
        """The logits, (image, class), but for a constant for each image, of the model with this temperature."""
        return np.log(np.maximum(self.probabilities, _SMALLEST)) * temperature

    def only(self, chosen: Sequence[int]) -> "Outputs":
        """Those of some of the images, by index."""
        maps = None if self.maps is None else self.maps[chosen]
        return Outputs(self.probabilities[chosen], self.scores[chosen], maps)


def load(path: Path) -> Any:
    """Read a SavedModel's folder, or the ``.xml`` file of OpenVINO's own format."""
    return openvino.Core().read_model(path)


def save(model: Any, path: Path) -> None:
    """Write a model in OpenVINO's own format, ``path`` and ``.bin`` beside it; its ports have the signature's names."""
    for port in (*model.inputs, *model.outputs):
        port.get_tensor().set_names({port.node.friendly_name})
    openvino.save_model(model, path, compress_to_fp16=False)


def outputs(model: Any, images: NDArray[np.uint8]) -> Outputs:
    """Run a model.

    Args:
        model: What ``load`` returned, or a quantized form of it.
        images: uint8 (image, height, width, 3).
    """
    request = openvino.Core().compile_model(model, "CPU", _PROPERTIES).create_infer_request()
    batches = (images[start : start + _BATCH] for start in range(0, len(images), _BATCH))
    return joined([of_results(request.infer({contract.IMAGES: batch}), model.outputs) for batch in batches])


def milliseconds(models: Sequence[Any], image: NDArray[np.uint8]) -> list[float]:
    """The least time that each model takes for one image on one thread; the models take turns.

    Args:
        models: What ``load`` returned.
        image: uint8 (1, height, width, 3).
    """
    core, one_thread = openvino.Core(), {"INFERENCE_NUM_THREADS": 1}
    requests = [core.compile_model(model, "CPU", _PROPERTIES | one_thread).create_infer_request() for model in models]
    least = [float("inf")] * len(models)
    for _ in range(_TIMED):
        for index, request in enumerate(requests):
            started = time.perf_counter()
            request.infer({contract.IMAGES: image})
            least[index] = min(least[index], 1000 * (time.perf_counter() - started))
    return least


def of_results(results: Any, ports: Sequence[Any]) -> Outputs:
    """The outputs of one call of a compiled model, by the names of its ports."""
    arrays = {port.node.friendly_name: results[index].astype(np.float64) for index, port in enumerate(ports)}
    return Outputs(
        arrays[contract.PROBABILITIES], arrays[contract.OUT_OF_DISTRIBUTION], arrays.get(contract.ACTIVATION_MAPS)
    )


def joined(parts: Sequence[Outputs]) -> Outputs:
    """The outputs for the images of several calls, in order."""
    maps = [part.maps for part in parts if part.maps is not None]
    return Outputs(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate(maps) if maps else None,
    )


def rescale_logits(model: Any, factor: float) -> None:
    """Multiply the logits before the softmax of the probabilities, which gives a model another temperature.

    The logits of the OOD score and the activation maps are left as they are.
    """
    result = next(port.node for port in model.outputs if port.node.friendly_name == contract.PROBABILITIES)
    softmax = result.input_value(0).get_node()
    scaled = opset13.multiply(softmax.input_value(0), opset13.constant(np.float32(factor)))
    softmax.input(0).replace_source_output(scaled.output(0))


def versions(metadata: ModelMetadata) -> dict[str, Any]:
    """The software that made the model, with what quantized it."""
    return {**metadata.versions, "int8": {"openvino": openvino.__version__.partition("-")[0], "nncf": nncf.__version__}}
