"""A prediction, from request to response, with TensorFlow Serving's checks and messages for every engine."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from numpy.typing import NDArray

from portable_model_server.engines.base import EngineError
from portable_model_server.engines.saved_model import Signature, TensorInfo
from portable_model_server.errors import ServingError, failed_precondition, invalid
from portable_model_server.serving.versions import Servable
from serving_api.messages import DataType, PredictRequest, PredictResponse, TensorProto
from serving_api.names import DEFAULT_SIGNATURE
from serving_api.tensors import DTYPES, TensorError, from_array, to_array
from tracing.spans import Span, current, span

_STATUSES = {status.value[0]: status for status in grpc.StatusCode}


def dtype_name(number: int) -> str:
    """Return TensorFlow's name of a dtype, such as ``float`` or ``uint8``."""
    if number not in DataType.values():
        return f"dtype {number}"
    return DataType.Name(DataType.ValueType(number)).removeprefix("DT_").lower()


@dataclass(frozen=True)
class Predictor:
    """Runs models.

    Attributes:
        typed_fields: Whether responses hold ``float_val`` and the like instead of ``tensor_content``.
        observe_engine: Takes the model's name, the engine's name and the seconds that the engine took.
    """

    typed_fields: bool
    observe_engine: Callable[[str, str, float], None]

    def predict(self, servable: Servable, request: PredictRequest) -> PredictResponse:
        """Run the signature that a request names.

        Raises:
            ServingError: The request does not fit the model, or the engine failed.
        """
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = servable.model.signatures.get(name)
        if signature is None:
            raise failed_precondition(f'Serving signature key "{name}" not found.')
        inputs = _inputs(signature, request.inputs)
        outputs = self.run(servable, name, inputs, _outputs(signature, request.output_filter))
        response = PredictResponse()
        response.model_spec.name = servable.name
        response.model_spec.version.value = servable.version
        response.model_spec.signature_name = name
        for alias, array in outputs.items():
            response.outputs[alias].CopyFrom(from_array(array, typed_fields=self.typed_fields))
        return response

    def run(
        self, servable: Servable, signature: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> dict[str, NDArray[Any]]:
        """Run a signature that exists on inputs that are complete and of the declared dtypes.

        Raises:
            ServingError: The model refuses the inputs, an output is no tensor or of a dtype that no response can hold,
                or the engine failed.
        """
        for alias in outputs:
            info = servable.model.signatures[signature].outputs[alias]
            if not info.is_tensor:
                # As TensorFlow 2.20's session says it.
                raise ServingError(grpc.StatusCode.OUT_OF_RANGE, f"Node '{info.name}' does not have output 0")
            if info.dtype not in DTYPES:
                raise _rare(f'output "{alias}"', info.dtype)
        _describe(current(), servable, signature, inputs)
        started = time.perf_counter()
        try:
            with span("engine"):
                arrays = servable.model.predict(signature, inputs, outputs)
        except EngineError as error:
            raise ServingError(_STATUSES.get(error.code, grpc.StatusCode.INTERNAL), str(error)) from error
        self.observe_engine(servable.name, servable.model.engine, time.perf_counter() - started)
        return arrays


def _describe(call: Span, servable: Servable, signature: str, inputs: Mapping[str, NDArray[Any]]) -> None:
    """Say in a call's span what runs for it; names that the caller chose are known ones by now."""
    call.set("model.name", servable.name)
    call.set("model.version", servable.version)
    call.set("model.signature", signature)
    call.set("model.engine", servable.model.engine)
    call.set("model.precision", servable.model.precision)
    call.set("batch.rows", max((len(array) for array in inputs.values() if array.ndim), default=0))


def _inputs(signature: Signature, given: Mapping[str, TensorProto]) -> dict[str, NDArray[Any]]:
    """Convert the request's tensors to arrays, and add the signature's defaults for those that are missing.

    Source of the order and the messages: predict_util.cc of TensorFlow Serving, cc/saved_model/util.cc of TensorFlow.
    """
    defaults = signature.proto.defaults
    if len(given) > len(signature.inputs) or (len(given) < len(signature.inputs) and not defaults):
        raise invalid(
            f"input size does not match signature: {len(given)}!={len(signature.inputs)} "
            f"len({_braced(given)}) != len({_braced(signature.inputs)}). "
            f"Sent extra: {_braced(given.keys() - signature.inputs.keys())}. "
            f"Missing but required: {_braced(signature.inputs.keys() - given.keys())}."
        )
    arrays = {}
    for position, (alias, info) in enumerate(sorted(signature.inputs.items())):
        if alias not in given and alias not in defaults:
            raise invalid(
                f"Signature input alias: {alias}(feed name: {info.name}) not found in request and no default value "
                f"provided. Inputs expected to be in the request {_braced(given)}, "
                f"or default input alias set: {','.join(sorted(defaults))}"
            )
        arrays[alias] = _array(position, alias, info, given[alias] if alias in given else defaults[alias])
    if not given.keys() <= signature.inputs.keys():
        raise invalid(
            f"Inputs contains invalid name. Used request inputs: {','.join(sorted(given.keys() & arrays.keys()))}, "
            f"request input: {','.join(sorted(given))}"
        )
    return arrays


def _rare(tensor: str, dtype: int) -> ServingError:
    message = f"{tensor} has the dtype {dtype_name(dtype)}, which tensorflow/serving can carry and this server cannot"
    return ServingError(grpc.StatusCode.UNIMPLEMENTED, message)


def _array(position: int, alias: str, info: TensorInfo, proto: TensorProto) -> NDArray[Any]:
    if proto.dtype == info.dtype and proto.dtype not in DTYPES:
        raise _rare(f'input "{alias}"', proto.dtype)
    try:
        array = to_array(proto)
    except TensorError as error:
        raise invalid(f"tensor parsing error: {alias} ({error})") from None
    if proto.dtype != info.dtype:
        raise invalid(
            f"Expects arg[{position}] to be {dtype_name(info.dtype)} but {dtype_name(proto.dtype)} is provided"
        )
    return array


def _outputs(signature: Signature, output_filter: Collection[str]) -> list[str]:
    seen: set[str] = set()
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {_braced(signature.outputs)}."
            )
        if alias in seen:
            raise invalid(f"duplicate output tensor alias: {alias}")
        seen.add(alias)
    return list(output_filter) or sorted(signature.outputs)


def _braced(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
