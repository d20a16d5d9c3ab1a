"""Reads the JSON of a prediction over REST: rows ("instances") or columns ("inputs").

Source of the rules and the messages: FillPredictRequestFromJson in tensorflow_serving/util/json_tensor.cc.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from portable_model_server.api import json_documents
from portable_model_server.api.json_arrays import rows_to_array, to_array
from portable_model_server.api.json_documents import is_object, shown
from portable_model_server.engines.saved_model import TensorInfo
from portable_model_server.errors import invalid, shown_name
from serving_api.names import DEFAULT_SIGNATURE


@dataclass(frozen=True)
class JsonRequest:
    """The body of a request for a prediction, parsed but not yet checked against a model.

    Attributes:
        document: The body's object.
        signature: Name of the signature.
    """

    document: dict[str, Any]
    signature: str

    @property
    def by_row(self) -> bool:
        """Whether the response goes row by row."""
        return "instances" in self.document

    def arrays(self, inputs: Mapping[str, TensorInfo]) -> dict[str, NDArray[Any]]:
        """Convert the body to the inputs of the signature.

        Raises:
            ServingError: It has neither or both of "instances" and "inputs", or does not fit the inputs.
        """
        if not inputs:
            name = self.document.get("signature_name") or "DEFAULT"
            raise invalid(f"Failed to get input map for signature: {shown_name(name)}")
        if not self.by_row:
            if "inputs" not in self.document:
                raise invalid("Missing 'inputs' or 'instances' key")
            return _from_columns(self.document["inputs"], inputs)
        if "inputs" in self.document:
            raise self._malformed("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist")
        rows = self.document["instances"]
        if not isinstance(rows, list):
            raise self._malformed("Expecting 'instances' to be an list/array")
        if not rows:
            raise self._malformed("No values in 'instances' array")
        return _from_rows(rows, inputs)

    def _malformed(self, reason: str) -> Exception:
        return invalid(f"JSON Value: {shown(self.document)} {reason}")


def parse(body: bytes) -> JsonRequest:
    """Parse the body of a request for a prediction.

    Raises:
        ServingError: It does not start with a JSON object, or the signature's name is no text.
    """
    document = json_documents.parse(body)
    signature = document.get("signature_name", "")
    if not isinstance(signature, str):
        raise invalid(
            f"JSON Value: {shown(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return JsonRequest(document, signature or DEFAULT_SIGNATURE)


def _from_rows(rows: list[Any], inputs: Mapping[str, TensorInfo]) -> dict[str, NDArray[Any]]:
    if not is_object(rows[0]):
        if len(inputs) > 1:
            raise invalid(
                "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
                "tensorinfo_map"
            )
        for position, row in enumerate(rows):
            if is_object(row):
                raise invalid(f"Expecting value/list but got object at item {position} of input list")
        ((alias, info),) = inputs.items()
        return {alias: rows_to_array(rows, info.dtype)}
    for position, row in enumerate(rows):
        if not is_object(row):
            raise invalid(f"Expecting object but got list at item {position} of input list")
        for alias in row:
            if alias not in inputs:
                name = shown_name(alias)
                raise invalid(
                    f"Failed to process element: {position} key: {name} of 'instances' list. Error: "
                    f"INVALID_ARGUMENT: JSON object: does not have named input: {name}"
                )
        if len(row) < len(inputs):
            raise invalid(
                f"Failed to process element: {position} of 'instances' list. JSON object: {shown(row)} "
                f"keys must be equal to: {','.join(sorted(inputs))}"
            )
    return {
        alias: rows_to_array([row[alias] for row in rows], info.dtype, f" key: {alias}")
        for alias, info in inputs.items()
    }


def _from_columns(columns: Any, inputs: Mapping[str, TensorInfo]) -> dict[str, NDArray[Any]]:
    if not is_object(columns):
        if len(inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        columns = dict.fromkeys(inputs, columns)
    for alias in inputs:
        if alias not in columns:
            raise invalid(f"Missing named input: {alias} in 'inputs' object.")
    return {alias: to_array(columns[alias], info.dtype) for alias, info in inputs.items()}
