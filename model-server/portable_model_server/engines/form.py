"""Which form of a model runs: the SavedModel in float32, or the int8 form that the converter may have put beside it."""

import json
from dataclasses import dataclass
from pathlib import Path

from portable_model_server.engines.base import EngineError
from serving_api.names import INT8_METADATA, INT8_MODEL, METADATA_ASSET

FLOAT32, INT8 = "float32", "int8"


@dataclass(frozen=True)
class Form:
    """A form of a model.

    Attributes:
        precision: ``FLOAT32`` or ``INT8``.
        file: What OpenVINO reads: the folder of the SavedModel, or the file of the int8 form.
        metadata: The model metadata in the SavedModel, and those that the form has in their place; None for the same.
    """

    precision: str
    file: Path
    metadata: tuple[bytes, bytes] | None = None


def choose_form(path: Path, wanted: str) -> Form:
    """Return the form to run of the model in a version's folder.

    Args:
        path: The folder.
        wanted: ``FLOAT32`` or ``INT8``; empty for the one that the model metadata recommends.

    Raises:
        EngineError: The int8 form is wanted or recommended, and is not there or cannot be read.
    """
    try:
        metadata = (path / METADATA_ASSET).read_bytes()
    except OSError:
        metadata = b""
    if (wanted or _recommended(metadata)) != INT8:
        return Form(FLOAT32, path)
    try:
        if not (path / INT8_MODEL).is_file():
            raise FileNotFoundError
        return Form(INT8, path / INT8_MODEL, (metadata, (path / INT8_METADATA).read_bytes()))
    except FileNotFoundError:
        hint = "leave out --precision=int8, or convert the model with --int8" if wanted else "copy the whole folder"
        raise EngineError(f"{path} holds no int8 form of the model: {hint}") from None
    except OSError as error:
        raise EngineError(f"the int8 form in {path} cannot be read: {error.strerror}") from error


def _recommended(metadata: bytes) -> str:
    try:
        document = json.loads(metadata)
    except (ValueError, RecursionError):
        return FLOAT32
    return str(document.get("recommended_precision")) if isinstance(document, dict) else FLOAT32
