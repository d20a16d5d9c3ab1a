"""How a PredictRequest is built, wherever one is: by the gateway, by training, and for the warmup file."""

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
        model: the model's name.
        signature: which of its functions to run.
        inputs: by alias, arrays of any dtype in ``tensors.DTYPES``, or tensors that are encoded already.
        outputs: the aliases to compute; none asks for all of them.
        version: of the model; None leaves the choice to the server.

    Raises:
        TensorError: an array's dtype has no counterpart.
    """
    request = PredictRequest(output_filter=outputs)
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(value if isinstance(value, TensorProto) else from_array(value))
    return request
