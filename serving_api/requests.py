"""Builds every PredictRequest: those of the gateway, of training, and of the warmup file."""

from collections.abc import Iterable, Mapping
from typing import Any

from numpy.typing import NDArray

from serving_api.messages import PredictRequest, TensorProto
from serving_api.tensors import from_array


def predict_request(
    model: str,
    signature: str,
    inputs: Mapping[str, NDArray[Any] | TensorProto],
    outputs: Iterable[str] = (),
    version: int | None = None,
) -> PredictRequest:
    """A request for a prediction.

    Args:
        model: The model's name.
        signature: The signature to run.
        inputs: By alias, arrays of any dtype in ``tensors.DTYPES``, or tensors that are encoded already.
        outputs: The aliases of the outputs to compute; none stands for all of them.
        version: The model's version; None leaves the choice to the server.

    Raises:
        TensorError: An array's dtype has no counterpart.
    """
    request = PredictRequest(output_filter=outputs)
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(value if isinstance(value, TensorProto) else from_array(value))
    return request
