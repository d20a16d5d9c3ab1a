"""Reads a scan of figshare's brain tumour set (Cheng 2017) from a MATLAB file of version 7.3, which is HDF5.

The file holds a structure ``cjdata``: ``label`` (1 meningioma, 2 glioma, 3 pituitary tumour), ``PID`` (the patient, a
text), ``image`` (int16), and the tumour's border and mask, which are not read. MATLAB stores the first index fastest
(column-major) and HDF5 the last one, so that every array in the file is the transpose of MATLAB's own; and it stores a
text as the numbers of its characters.
"""

import io
import math
from dataclasses import dataclass

import h5py  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from brain_tumor.image import MAX_PIXELS, MIN_SIDE

CLASSES = {1: "meningioma", 2: "glioma", 3: "pituitary"}  # the labels, by the set's own README
_OLDER = b"MATLAB 5.0 MAT-file"  # how files of the versions 5 to 7.2 begin
_MAX_TEXT = 100  # characters of a patient's id


class MatlabError(ValueError):
    """A file is no scan of this set; the message says why."""


@dataclass(frozen=True)
class Scan:
    """A scan.

    Attributes:
        class_name: One of ``CLASSES``.
        patient: The patient's id.
        pixels: The grey levels, the lowest of them 0 or more: uint16 (height, width).
    """

    class_name: str
    patient: str
    pixels: NDArray[np.uint16]


def read_scan(data: bytes) -> Scan:
    """Read a file's content.

    Raises:
        MatlabError: It is damaged, has another version or lacks a field, or a field has an impossible value.
    """
    if data.startswith(_OLDER):
        raise MatlabError("it is a MATLAB file of version 5 to 7.2; save it with -v7.3, as the published ones are")
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            return Scan(
                _class_name(_field(file, "label")), _patient(_field(file, "PID")), _pixels(_field(file, "image"))
            )
    except MatlabError:
        raise
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, OverflowError) as error:  # h5py's, of any damage
        raise MatlabError("it is damaged or incomplete, or no MATLAB file of version 7.3") from error


def _field(file: h5py.File, name: str) -> h5py.Dataset:
    structure = file.get("cjdata")
    field = structure.get(name) if isinstance(structure, h5py.Group) else None
    if not isinstance(field, h5py.Dataset) or field.shape is None:  # HDF5 has a value that is none
        raise MatlabError(f"it has no cjdata.{name}")
    if field.external or field.is_virtual:
        raise MatlabError(f"its cjdata.{name} lies in another file")  # which may be any file of this machine
    if math.prod(field.chunks or ()) > MAX_PIXELS:  # HDF5 unpacks whole chunks
        raise MatlabError(f"its cjdata.{name} is packed in pieces of {math.prod(field.chunks):,} numbers")
    return field


def _class_name(field: h5py.Dataset) -> str:
    label = field[()].item() if field.size == 1 and field.dtype.kind in "iuf" else None
    if label not in CLASSES:
        known = ", ".join(f"{number} ({name})" for number, name in CLASSES.items())
        raise MatlabError(f"its label is {'no number' if label is None else f'{label:g}'}, not one of {known}")
    return CLASSES[label]


def _patient(field: h5py.Dataset) -> str:
    is_text = field.dtype == np.uint16 and field.size <= _MAX_TEXT
    patient = "".join(map(chr, field[()].T.ravel("F"))).strip() if is_text else ""
    if not patient.isprintable() or not patient:
        raise MatlabError("its patient id, cjdata.PID, is no text")
    return patient


def _pixels(field: h5py.Dataset) -> NDArray[np.uint16]:
    is_grey = field.ndim == 2 and field.dtype.kind in "iu" and field.dtype.itemsize <= 2
    if not is_grey or min(field.shape) < MIN_SIDE or field.size > MAX_PIXELS:
        raise MatlabError(
            f"its image is {field.dtype} {field.shape[::-1]}, not grey levels of 16 bits in two dimensions"
        )
    levels = field[()].T.astype(np.int32)
    return (levels - min(levels.min(), 0)).astype(np.uint16)
