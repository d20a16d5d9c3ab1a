"""The three tumour kinds: where each grows, what shape it takes, and what it does to the brain around it.

Size and contrast agent have one distribution for all kinds; only place and shape differ between them.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.phantom.anatomy import CAVITY, SELLA, base_height, depth_in_cavity, radius
from training.phantom.noise import SmoothNoise
from training.phantom.tissue import Floats, Labels, Tissue

SIZES = (0.11, 0.19)  # radius, units of 10 cm
AGENT = (0.04, 0.30)  # mM
Mask = NDArray[np.bool_]
_MIDLINE_SHIFT = 0.35  # of the radius


class Lesion(Protocol):
    """A tumour inside a head."""

    def inside(self, points: Floats) -> Mask:
        """Whether points of the average head lie in the tumour itself: bool (n,)."""

    def push(self, points: Floats) -> Floats:
        """How far the brain at each point was moved aside: float32 (3, n)."""

    def paint(self, points: Floats, labels: Labels, agent: Floats) -> None:
        """Write the tumour over healthy ``labels`` and ``agent``, in place."""

    @classmethod
    def draw(cls, rng: np.random.Generator, noise: SmoothNoise) -> "Lesion":
        """Draw a tumour of this kind at any place where the kind grows."""


@dataclass(frozen=True)
class Glioma:
    """A tumour in white matter: an irregular ring that enhances, a dark core, dark oedema, and a midline shift.

    Attributes:
        noise: The irregularities of its surface and texture.
        centre: float32 (3,).
        size: Radius, in units of 10 cm.
        agent: Contrast agent in the ring, in mM.
        core: Radius of the core, as a share of the ring's.
        oedema: Width of the oedema around the ring, as a share of the radius.
    """

    noise: SmoothNoise
    centre: Floats
    size: float
    agent: float
    core: float
    oedema: float

    @classmethod
    def draw(cls, rng: np.random.Generator, noise: SmoothNoise) -> "Glioma":
        """Draw one in the hemispheres, away from skull, midline structures and sella."""
        size = rng.uniform(*SIZES)
        while True:
            centre = rng.uniform((-0.5, -0.7, -0.35), (0.5, 0.65, 0.65)).astype(np.float32)
            depth = float(depth_in_cavity(centre[:, None])[0])
            below_tentorium = centre[1] < -0.1 and centre[2] < -0.15
            if depth > 0.06 + 0.7 * size and abs(centre[0]) > 0.08 and not below_tentorium and _off_sella(centre, size):
                return cls(
                    noise, centre, size, rng.uniform(*AGENT), rng.uniform(0.35, 0.75), float(rng.uniform(0.2, 0.7))
                )

    def inside(self, points: Floats) -> Mask:
        """See ``Lesion``."""
        return self._reach(points) < 1

    def push(self, points: Floats) -> Floats:
        """See ``Lesion``."""
        away, distance = _away(points, self.centre)
        shift = np.array([[-np.sign(self.centre[0])], [0], [0]], np.float32) * _MIDLINE_SHIFT * self.size
        near = np.exp(-((distance / 0.5) ** 2))
        return away * 0.3 * self.size * np.exp(-((distance / (2 * self.size)) ** 2)) + shift * near

    def paint(self, points: Floats, labels: Labels, agent: Floats) -> None:
        """See ``Lesion``."""
        reach = self._reach(points)
        wet = (reach < 1 + self.oedema) & (labels == Tissue.WHITE)
        labels[wet] = Tissue.OEDEMA
        tumour = reach < 1
        texture = self.noise(points, 0.12, channel=3)
        dead = tumour & (reach + 0.08 * texture < self.core)
        labels[tumour] = Tissue.TUMOUR
        agent[tumour] = self.agent * np.clip(1 + 0.35 * texture[tumour], 0.1, 2)
        labels[dead] = Tissue.NECROSIS
        agent[dead] = 0

    def _reach(self, points: Floats) -> Floats:
        _, distance = _away(points, self.centre)
        bumps = 0.22 * self.noise(points, 2.2 * self.size, channel=4) + 0.1 * self.noise(points, self.size, channel=5)
        return distance / (1.05 * self.size) + bumps


@dataclass(frozen=True)
class Meningioma:
    """A tumour on the inner skull or the falx.

    It has a broad base, is smooth, homogeneous and bright, and has a CSF cleft and a dural tail.

    Attributes:
        noise: The irregularities of its surface.
        anchor: The point on the dura where it grows: float32 (3,).
        normal: The direction from there into the brain: float32 (3,).
        size: Radius, in units of 10 cm.
        agent: Contrast agent, in mM.
        cleft: Width of the CSF cleft, in units of 10 cm.
        on_falx: Whether it grows on the falx, not on the skull.
    """

    noise: SmoothNoise
    anchor: Floats
    normal: Floats
    size: float
    agent: float
    cleft: float
    on_falx: bool

    @classmethod
    def draw(cls, rng: np.random.Generator, noise: SmoothNoise) -> "Meningioma":
        """Draw one on the convexity, the skull base or the falx, with equal chance, away from the sella."""
        size = rng.uniform(*SIZES)
        while True:
            site = rng.integers(3)
            anchor = (_on_convexity, _on_skull_base, _on_falx)[site](rng, size)
            if anchor is not None and _off_sella(anchor, size):
                falx = bool(site == 2)
                normal = np.array([rng.choice([-1, 1]), 0, 0], np.float32) if falx else _inwards(anchor)
                return cls(noise, anchor, normal, size, rng.uniform(*AGENT), rng.uniform(0.01, 0.025), falx)

    def inside(self, points: Floats) -> Mask:
        """See ``Lesion``."""
        return (self._reach(points) < 1) & (self._height(points) > 0)

    def push(self, points: Floats) -> Floats:
        """See ``Lesion``."""
        away, distance = _away(points, self.anchor)
        return away * 0.5 * self.size * np.exp(-((distance / (2 * self.size)) ** 2))

    def paint(self, points: Floats, labels: Labels, agent: Floats) -> None:
        """See ``Lesion``."""
        reach, height = self._reach(points), self._height(points)
        _, distance = _away(points, self.anchor)
        tail = (height > 0) & (height < 0.014) & (distance < 1.9 * self.size)
        cleft = (height > 0) & (reach < 1 + self.cleft / self.size)
        tumour = (height > 0) & (reach < 1)
        labels[cleft] = Tissue.CSF
        agent[cleft] = 0
        labels[tail | tumour] = Tissue.TUMOUR
        agent[tail | tumour] = self.agent

    def _height(self, points: Floats) -> Floats:
        return points[0] * self.normal[0] if self.on_falx else depth_in_cavity(points)

    def _reach(self, points: Floats) -> Floats:
        offset = points - (self.anchor + 0.3 * self.size * self.normal)[:, None]
        along = self.normal @ offset
        across = np.sqrt(np.maximum(np.einsum("in,in->n", offset, offset) - along**2, 0))
        bumps = 0.05 * self.noise(points, 1.5 * self.size, channel=6)
        return np.hypot(along / (0.85 * self.size), across / (1.1 * self.size)) + bumps


@dataclass(frozen=True)
class PituitaryTumour:
    """A tumour in the midline at the sella, over 10 mm: two smooth lobes with a waist between, often with a cyst.

    Attributes:
        noise: The irregularities of its surface.
        lower: Centre of the lower lobe: float32 (3,).
        upper: Centre of the upper lobe: float32 (3,).
        size: Radius, in units of 10 cm.
        agent: Contrast agent, in mM.
        cyst: Radius of the cyst, in units of 10 cm; 0 where there is none.
    """

    noise: SmoothNoise
    lower: Floats
    upper: Floats
    size: float
    agent: float
    cyst: float

    @classmethod
    def draw(cls, rng: np.random.Generator, noise: SmoothNoise) -> "PituitaryTumour":
        """Draw one at the sella that grows upwards."""
        size = rng.uniform(*SIZES)
        lower = np.array(SELLA) + rng.uniform(-0.015, 0.015, 3)
        upper = lower + np.array([*rng.uniform(-0.03, 0.03, 2), size * rng.uniform(0.85, 1.1)])
        cyst = size * rng.uniform(0.3, 0.5) if rng.random() < 0.3 else 0.0
        return cls(noise, lower.astype(np.float32), upper.astype(np.float32), size, rng.uniform(*AGENT), cyst)

    def inside(self, points: Floats) -> Mask:
        """See ``Lesion``."""
        return self._reach(points) < 1

    def push(self, points: Floats) -> Floats:
        """See ``Lesion``."""
        away, distance = _away(points, self.upper)
        return away * 0.5 * self.size * np.exp(-((distance / (2 * self.size)) ** 2))

    def paint(self, points: Floats, labels: Labels, agent: Floats) -> None:
        """See ``Lesion``."""
        tumour = self.inside(points)
        labels[tumour] = Tissue.TUMOUR
        agent[tumour] = self.agent
        _, distance = _away(points, self.upper)
        cyst = tumour & (distance < self.cyst)
        labels[cyst] = Tissue.NECROSIS
        agent[cyst] = 0

    def _reach(self, points: Floats) -> Floats:
        _, below = _away(points, self.lower)
        _, above = _away(points, self.upper)
        bumps = 0.06 * self.noise(points, 1.5 * self.size, channel=7)
        return np.minimum(below / (0.71 * self.size), above / (0.89 * self.size)) + bumps


# The tumour that each class shows, sorted by class name.
KINDS: dict[str, type[Lesion] | None] = {
    "glioma": Glioma,
    "meningioma": Meningioma,
    "notumor": None,
    "pituitary": PituitaryTumour,
}


def _on_convexity(rng: np.random.Generator, _: float) -> Floats | None:
    direction = rng.standard_normal(3)
    anchor = direction / np.linalg.norm(direction) * CAVITY + (0, -0.0184, 0)
    return _point(*anchor) if anchor[2] > -0.25 else None


def _on_skull_base(rng: np.random.Generator, _: float) -> Floats | None:
    x, y = rng.uniform((-0.5, -0.1), (0.5, 0.6))
    anchor = _point(x, y, float(base_height(np.array([x], np.float32), np.array([y], np.float32))[0]))
    return anchor if radius(anchor[:, None], (0, -0.0184, 0), CAVITY)[0] < 0.9 else None


def _on_falx(rng: np.random.Generator, size: float) -> Floats | None:
    anchor = _point(0, *rng.uniform((-0.6, 0.0), (0.7, 0.7)))
    # Where the hemispheres are joined there is no falx.
    joined = radius(anchor[:, None], (0, -0.02, -0.03), (0.3, 0.5, 0.26))[0] < 1.2
    return anchor if not joined and depth_in_cavity(anchor[:, None])[0] > 0.3 * size else None


def _point(x: float, y: float, z: float) -> Floats:
    return np.array([x, y, z], np.float32)


def _away(points: Floats, centre: Floats) -> tuple[Floats, Floats]:
    """Unit vectors that point away from the centre, (3, n), and the distance to it, (n,)."""
    offset = points - centre[:, None]
    distance = np.sqrt(np.einsum("in,in->n", offset, offset))
    return offset / np.maximum(distance, 1e-4), distance


def _inwards(anchor: Floats) -> Floats:
    step = 0.01 * np.eye(3, dtype=np.float32)
    slope = depth_in_cavity(anchor[:, None] + step) - depth_in_cavity(anchor[:, None] - step)
    return slope / np.linalg.norm(slope)


def _off_sella(centre: Floats, size: float) -> bool:
    return float(np.linalg.norm(centre - np.array(SELLA))) > size + 0.14
