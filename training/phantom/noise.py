"""Smooth random fields in 3-D, which make folds, warps and textures irregular."""

import numpy as np
from scipy import ndimage

from training.phantom.tissue import Floats

_CELLS = 40
_SMOOTHING = 1.6  # cells; enough for linear interpolation to look smooth


class SmoothNoise:
    """A periodic field with mean 0 and standard deviation 1, which can be sampled anywhere and at any scale."""

    def __init__(self, rng: np.random.Generator) -> None:
        field = ndimage.gaussian_filter(
            rng.standard_normal((_CELLS,) * 3, dtype=np.float32), _SMOOTHING, mode="wrap", truncate=3.0
        )
        self._field = (field - field.mean()) / field.std()

    def __call__(self, points: Floats, wavelength: float, channel: int = 0) -> Floats:
        """Sample the field.

        Args:
            points: float32 (3, n).
            wavelength: The size of a bump and a dip together, in the points' unit.
            channel: Another number gives another, practically independent field.

        Returns:
            float32 (n,)
        """
        scale = np.float32(4.0 * _SMOOTHING / wavelength)
        offset = np.array([[7.3], [13.1], [23.7]], np.float32) * channel
        return ndimage.map_coordinates(self._field, points * scale + offset, order=1, mode="grid-wrap", prefilter=False)
