"""Turns a head into an image: the plane that is cut, and everything that a scanner adds to it.

Nothing here depends on the class. Slice, field of view, sequence, noise and brightness have one distribution for all
classes.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.phantom.anatomy import Head, depth_in_cavity, healthy
from training.phantom.lesions import Lesion
from training.phantom.tissue import Floats, Sequence

# The axis of each plane, and the range in which it is cut along that axis. A pituitary tumour is visible only near the
# sella, so all classes are cut there.
PLANES = {"axial": (2, (-0.40, -0.20)), "coronal": (1, (0.03, 0.19)), "sagittal": (0, (-0.09, 0.09))}
_FIELD_OF_VIEW = {"axial": 2.0, "coronal": 2.05, "sagittal": 2.15}  # units of 10 cm
_CENTRE = {"axial": (0.0, 0.0, 0.0), "coronal": (0.0, 0.0, -0.08), "sagittal": (0.0, 0.0, -0.08)}
# Rows: the directions of the image's right, of its down, and of the cut's thickness.
_AXES = {
    "axial": ((1, 0, 0), (0, -1, 0), (0, 0, 1)),
    "coronal": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "sagittal": ((0, -1, 0), (0, 0, -1), (1, 0, 0)),
}
_SUBSLICES = 2
_CHUNK = 8192  # points at once; their data fits a core's cache


@dataclass(frozen=True)
class Slice:
    """The geometry of a slice; lengths are in units of 10 cm.

    Attributes:
        field_of_view: Side of the image.
        thickness: Thickness of the slice.
        axes: Directions of the image's right, of its down, and of the thickness, one per row: float32 (3, 3).
        centre: float32 (3,).
    """

    field_of_view: float
    thickness: float
    axes: Floats
    centre: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator, plane: str) -> "Slice":
        """Draw a plane through the region of the sella, tilted and turned a little, as heads lie in a scanner."""
        axis, (low, high) = PLANES[plane]
        centre = np.array(_CENTRE[plane]) + rng.uniform(-0.05, 0.05, 3)
        centre[axis] = rng.uniform(low, high)
        turn = _rotation(rng.normal(0, 0.06, 3))
        return cls(
            _FIELD_OF_VIEW[plane] * rng.uniform(0.9, 1.12),
            rng.uniform(0.02, 0.05),
            (np.array(_AXES[plane]) @ turn).astype(np.float32),
            centre.astype(np.float32),
        )

    def next(self, distance: float) -> "Slice":
        """The parallel slice at a distance."""
        centre = self.centre + np.float32(distance) * self.axes[2]
        return replace(self, centre=centre.astype(np.float32))

    def points(self, size: int, subslices: int = 1, rng: np.random.Generator | None = None) -> Floats:
        """The head's points under ``size`` x ``size`` pixels: float32 (3, subslices * size * size).

        Args:
            size: Pixels a side.
            subslices: Layers of points within the slice's thickness.
            rng: Where given, each point lies at a random depth in its subslice, so that surfaces in the plane show no
                steps.
        """
        ticks = ((np.arange(size, dtype=np.float32) + 0.5) / size - 0.5) * np.float32(self.field_of_view)
        through = ((np.arange(subslices, dtype=np.float32) + 0.5) / subslices - 0.5) * np.float32(self.thickness)
        deep, down, right = np.meshgrid(through, ticks, ticks, indexing="ij")
        if rng is not None:
            deep = deep + (rng.random(deep.shape, np.float32) - 0.5) * np.float32(self.thickness / subslices)
        offsets = np.stack([right.ravel(), down.ravel(), deep.ravel()])
        return (self.axes.T @ offsets + self.centre[:, None]).astype(np.float32, copy=False)


@dataclass(frozen=True)
class Scanner:
    """The settings of a scan, which are the same for all its slices.

    Attributes:
        sequence: The pulse sequence.
        noise: Standard deviation, as a share of white matter's signal.
        bias: Strength of the bias field on a coarse grid: float32 (3, 3).
        blur: Standard deviation, as a share of the image's side.
        brightness: Grey level of white matter.
        gamma: Gamma of the display.
    """

    sequence: Sequence
    noise: float
    bias: Floats
    blur: float
    brightness: float
    gamma: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Scanner":
        """Draw settings: 1 to 6 % noise, a bias field of 0.90 to 1.10 (BrainWeb), a blur, a display window."""
        return cls(
            Sequence.draw(rng),
            rng.uniform(0.01, 0.06),
            rng.uniform(0.9, 1.1, (3, 3)).astype(np.float32),
            rng.uniform(0.0025, 0.0055),
            rng.uniform(80, 130),
            rng.uniform(0.85, 1.2),
        )

    def image(
        self, head: Head, lesion: Lesion | None, cut: Slice, size: int, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        """Scan a slice: uint8 (size, size)."""
        points = cut.points(size, _SUBSLICES, rng)
        parts = [
            self._signal(head, lesion, points[:, start : start + _CHUNK]) for start in range(0, points.shape[1], _CHUNK)
        ]
        signal = np.concatenate(parts).reshape(_SUBSLICES, size, size).mean(0) / self.sequence.white()
        signal = ndimage.gaussian_filter(signal, self.blur * size)
        signal *= ndimage.zoom(self.bias, size / 3, order=1, mode="nearest", grid_mode=True)
        real, imaginary = rng.normal(0, self.noise, (2, size, size))
        noisy = np.hypot(signal + real, imaginary)  # Rician
        return np.clip(255 * (noisy * self.brightness / 255) ** self.gamma, 0, 255).astype(np.uint8)

    def _signal(self, head: Head, lesion: Lesion | None, points: Floats) -> Floats:
        points = head.native(points)
        if lesion is None:
            return self.sequence.signal(*healthy(points, head))
        give = np.clip(depth_in_cavity(points) / 0.15, 0, 1)  # the skull does not move
        labels, agent = healthy(points - give * lesion.push(points), head)
        lesion.paint(points, labels, agent)
        return self.sequence.signal(labels, agent)


def mask(head: Head, lesion: Lesion, cut: Slice, size: int) -> NDArray[np.bool_]:
    """Whether a pixel of a slice shows the tumour: bool (size, size)."""
    points = head.native(cut.points(size))
    return lesion.inside(points).reshape(size, size)


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation about x, then y, then z; angles in radians."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        turn = np.eye(3)
        i, j = [other for other in range(3) if other != axis]
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix
