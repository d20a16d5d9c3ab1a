"""From a head to an image: the plane that is cut, and everything a scanner adds to it.

Nothing here knows a class. Slice, field of view, sequence, noise and brightness have one distribution for all.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.phantom.anatomy import Head, depth_in_cavity, healthy
from training.phantom.lesions import Lesion
from training.phantom.tissue import Floats, Sequence

# Where a plane is cut, along its own axis: a pituitary tumour shows only near the sella, so all classes are cut there.
PLANES = {"axial": (2, (-0.40, -0.20)), "coronal": (1, (0.03, 0.19)), "sagittal": (0, (-0.09, 0.09))}
_FIELD_OF_VIEW = {"axial": 2.0, "coronal": 2.05, "sagittal": 2.15}  # units of 10 cm
_CENTRE = {"axial": (0.0, 0.0, 0.0), "coronal": (0.0, 0.0, -0.08), "sagittal": (0.0, 0.0, -0.08)}
# Rows: where the image's right, its down, and the cut's thickness point.
_AXES = {
    "axial": ((1, 0, 0), (0, -1, 0), (0, 0, 1)),
    "coronal": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "sagittal": ((0, -1, 0), (0, 0, -1), (1, 0, 0)),
}
_SUBSLICES = 2
_CHUNK = 8192  # points at once: what they need fits a core's cache


@dataclass(frozen=True)
class Slice:
    """One slice's geometry.

    Attributes:
        field_of_view: side of the image. thickness: of the slice; in units of 10 cm.
        axes: float32 (3, 3), rows: the image's right, down, and the thickness. centre: float32 (3,).
    """

    field_of_view: float
    thickness: float
    axes: Floats
    centre: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator, plane: str) -> "Slice":
        """A plane through the region of the sella, tilted and turned a little, as heads lie in a scanner."""
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
        """The parallel slice at that distance."""
        centre = self.centre + np.float32(distance) * self.axes[2]
        return replace(self, centre=centre.astype(np.float32))

    def points(self, size: int, subslices: int = 1, rng: np.random.Generator | None = None) -> Floats:
        """The head's points under ``size`` x ``size`` pixels: float32 (3, subslices * size * size).

        With ``rng`` each point lies anywhere in its subslice, so that surfaces in the plane show no steps.
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
    """One scan's settings, the same for its slices.

    Attributes:
        noise: deviation, of white matter's signal. bias: float32 (3, 3), the field's strength on a coarse grid.
        blur: deviation, of the image's side. brightness: white matter's grey level. gamma: of the display.
    """

    sequence: Sequence
    noise: float
    bias: Floats
    blur: float
    brightness: float
    gamma: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Scanner":
        """Settings at random: 1 to 6 % noise, a bias field of 0.90 to 1.10 (BrainWeb), a blur, a display window."""
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
    """The tumour in a slice: bool (size, size)."""
    points = head.native(cut.points(size))
    return lesion.inside(points).reshape(size, size)


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turns about x, y and z, in radians, one after the other."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        turn = np.eye(3)
        i, j = [other for other in range(3) if other != axis]
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix
