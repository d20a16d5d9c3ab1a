"""NIfTI volumes: read whole, once, turned to the patient's axes, and mapped to 8 bits with one window for all."""

import math
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import OrientationError
from nibabel.spatialimages import HeaderDataError, SpatialImage

from brain_tumor_client.errors import ImageUnusable
from brain_tumor_client.images import png
from brain_tumor_client.sources.item import Item
from brain_tumor_client.sources.slices import Slices, Voxels, chosen, pixels_of

_MAX_VOXELS = 2**27  # 512 MiB as float32; a head at 0.5 mm has 100 million
_MAX_SIDE = 4096  # voxels
_MILLIMETRES = (1e-3, 1e3)  # between voxels, at least and at most
_PERCENTILES = (0.5, 99.5)  # of all voxels, as the service does with images of more than 8 bits
_SAMPLE = 2**22  # voxels that the percentiles are computed from
_UNREADABLE = (
    ImageFileError,
    HeaderDataError,
    OrientationError,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    OverflowError,
    zlib.error,
)
_ONE_VOLUME = "The file holds several volumes; only the first is classified."


def volume_items(path: Path, name: str, slices: Slices) -> Iterator[Item]:
    """The slices of a volume; it stays in memory until its last slice is sent.

    A volume that cannot be read gives one item whose ``load`` raises ImageUnusable.
    """
    try:
        voxels, spacing, warnings = read_volume(path)
        wanted = chosen(voxels, slices)
    except ImageUnusable as error:
        yield Item(name, partial(_refuse, str(error)), volume=name)
        return
    for ordinal, (plane, index) in enumerate(wanted):
        load = partial(_slice, voxels, spacing, plane, index)
        yield Item(name, load, name, plane=plane, slice=index, ordinal=ordinal, count=len(wanted), warnings=warnings)


def read_volume(path: Path) -> tuple[Voxels, tuple[float, float, float], tuple[str, ...]]:
    """Read a NIfTI file, turned by its affine so that its axes are closest to right, anterior, superior.

    Returns:
        The voxels (right, anterior, superior), the millimetres between them in the same order, and warnings.

    Raises:
        ImageUnusable: It is no such file, is damaged or too large, or has no three axes or no real numbers.
    """
    try:
        with np.errstate(all="ignore"):  # of an affine without sense; the sizes of the voxels show it
            image = nibabel.load(path)
            if not isinstance(image, SpatialImage):
                raise ImageUnusable("The file is no NIfTI volume.")
            first, warnings = _first_volume(image)
            canonical = nibabel.as_closest_canonical(first)
            spacing = _spacing(nibabel.affines.voxel_sizes(canonical.affine))
            values = np.asanyarray(canonical.dataobj, dtype=np.float32)
    except ImageUnusable:
        raise
    except _UNREADABLE:
        raise ImageUnusable("The volume cannot be read: it is no NIfTI file, or damaged.") from None
    return _to_8_bits(values), spacing, warnings


def _first_volume(image: Any) -> tuple[Any, tuple[str, ...]]:
    shape = image.shape
    if image.get_data_dtype().names or image.get_data_dtype().kind not in "iuf":
        raise ImageUnusable("The volume has colours or complex numbers. Save it with one real number for each voxel.")
    if len(shape) < 3 or min(shape) < 1 or max(shape[:3]) > _MAX_SIDE:
        raise ImageUnusable(f"The file holds no volume of three axes with 1 to {_MAX_SIDE} voxels each.")
    if math.prod(shape[:3]) > _MAX_VOXELS:
        raise ImageUnusable(f"The volume has more than {_MAX_VOXELS:,} voxels. Resample it to fewer.")
    if math.prod(shape[3:]) == 1:
        return image.slicer[(..., *[0] * (len(shape) - 3))] if len(shape) > 3 else image, ()
    return image.slicer[(..., *[0] * (len(shape) - 3))], (_ONE_VOLUME,)


def _spacing(sizes: Any) -> tuple[float, float, float]:
    if not np.all(np.isfinite(sizes)) or min(sizes) < _MILLIMETRES[0] or max(sizes) > _MILLIMETRES[1]:
        raise ImageUnusable("The volume's affine gives no sizes of voxels. Correct its header.")
    return float(sizes[0]), float(sizes[1]), float(sizes[2])


def _to_8_bits(values: np.ndarray[Any, np.dtype[np.float32]]) -> Voxels:
    flat = values.ravel(order="K")
    sample = flat[:: max(1, len(flat) // _SAMPLE)]
    sample = sample[np.isfinite(sample)]
    low, high = np.percentile(sample, _PERCENTILES) if len(sample) else (0.0, 0.0)
    if high <= low and len(sample):  # a few bright voxels over nothing
        low, high = float(sample.min()), float(sample.max())
    if high <= low:
        raise ImageUnusable("All voxels of the volume have the same value.")
    voxels = np.empty(values.shape, np.uint8)
    for index in range(values.shape[2]):  # slice by slice, so that no second copy in float32 is needed
        scaled = (values[:, :, index].astype(np.float64) - low) * (255 / (high - low))
        voxels[:, :, index] = np.nan_to_num(scaled, nan=0.0, posinf=255, neginf=0).clip(0, 255).round()
    return voxels


def _slice(voxels: Voxels, spacing: tuple[float, float, float], plane: str, index: int) -> bytes:
    return png(pixels_of(voxels, spacing, plane, index))


def _refuse(detail: str) -> bytes:
    raise ImageUnusable(detail)
