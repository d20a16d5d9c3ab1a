"""Reads the JSON of a prediction over REST: rows ("instances") or columns ("inputs").

Source of the rules and the messages: tensorflow_serving/util/json_tensor.cc.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from portable_model_server.api.json_arrays import JsonConversionError, is_object, shown, to_array
from portable_model_server.engines.saved_model import TensorInfo
from portable_model_server.errors import ServingError, invalid
from serving_api.names import DEFAULT_SIGNATURE


@dataclass(frozen=True)
class JsonRequest:
    """The body of a request for a prediction, parsed but not yet checked against a signature.

    Attributes:
        signature: Name of the signature.
        rows: "instances"; None if the body has "inputs".
        columns: "inputs", which may be None too; used if ``rows`` is None.
    """

    signature: str
    rows: list[Any] | None
    columns: Any

    @property
    def by_row(self) -> bool:
        """Whether the response goes row by row."""
        return self.rows is not None

    def arrays(self, inputs: Mapping[str, TensorInfo]) -> dict[str, NDArray[Any]]:
        """Convert the body to the inputs of a signature.

        Raises:
            ServingError: The JSON does not fit them.
        """
        if not inputs:
            raise invalid(f"Failed to get input map for signature: {self.signature}")
        if self.rows is not None:
            return _from_rows(self.rows, inputs)
        return _from_columns(self.columns, inputs)


def parse(body: bytes) -> JsonRequest:
    """Parse the body of a request for a prediction.

    Raises:
        ServingError: It is not a JSON object, or has neither or both of "instances" and "inputs".
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except UnicodeDecodeError:
        raise invalid("JSON Parse error: the document is not UTF-8") from None
    except (RecursionError, ValueError):  # ValueError: a number of more than 4,300 digits
        raise invalid("JSON Parse error: the document is nested too deep or has too long a number") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {shown(document)} Is not object")
    signature = document.get("signature_name", "")
    if not isinstance(signature, str):
        raise invalid("JSON Value not formatted correctly. 'signature_name' key must be a string value.")
    if "instances" in document and "inputs" in document:
        raise invalid("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in document:
        rows = document["instances"]
        if not isinstance(rows, list):
            raise invalid("Excepting 'instances' to be an list/array")
        if not rows:
            raise invalid("No values in 'instances' array")
        return JsonRequest(signature or DEFAULT_SIGNATURE, rows, None)
    if "inputs" not in document:
        raise invalid("Missing 'inputs' or 'instances' key")
    return JsonRequest(signature or DEFAULT_SIGNATURE, None, document["inputs"])


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
        return {alias: _row_array(rows, info, "")}
    for position, row in enumerate(rows):
        if not is_object(row):
            raise invalid(f"Expecting object but got list at item {position} of input list")
        if row.keys() != inputs.keys():
            raise invalid(
                f"Failed to process element: {position} of 'instances' list. JSON object: "
                f"keys must be equal to: {','.join(sorted(inputs))}"
            )
    return {alias: _row_array([row[alias] for row in rows], info, f" key: {alias}") for alias, info in inputs.items()}


def _row_array(values: list[Any], info: TensorInfo, key: str) -> NDArray[Any]:
    try:
        return to_array(values, info.dtype)
    except JsonConversionError as error:
        message = f"Failed to process element: {error.row(values)}{key} of 'instances' list. Error: "
        raise ServingError(error.code, f"{message}{error}") from None


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
