"""The healthy head: a tissue for every point in space.

Coordinates: x to the right, y to the front, z up; one unit is 10 cm; the origin is the centre of the head. The nested
ellipsoids are those of Gach et al. 2008 (MR Shepp-Logan phantom); skull base, brain stem, cerebellum, face and folds
are drawn around them, in proportions of a normal head.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.phantom.noise import SmoothNoise
from training.phantom.tissue import Floats, Labels, Tissue

SCALP = (0.72, 0.95, 0.93)
CAVITY = (0.6624, 0.874, 0.88)
SELLA = (0.0, 0.10, -0.385)
SKULL = 0.055


@dataclass(frozen=True)
class Head:
    """One person's healthy head, drawn at random.

    Attributes:
        noise: The person's irregularities.
        stretch: Size along each axis, 1 is average: float32 (3, 1).
        waves: Amplitude, three wave numbers and phase, for each of two waves and each axis: float32 (2, 3, 5).
        scalp: Thickness of skin and fat, in units of 10 cm.
        fat: A threshold; the lower it is, the more fat lies between the muscles.
        ventricles: Size of the ventricles, 1 is average.
        sulci: Width of the sulci, 1 is average.
        enhancement: Contrast agent in vessels, in mM.
        flow_void: Whether arteries are black, as fast blood often is.
    """

    noise: SmoothNoise
    stretch: Floats
    waves: Floats
    scalp: float
    fat: float
    ventricles: float
    sulci: float
    enhancement: float
    flow_void: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Head":
        """Draw a head at random; the class plays no part in it."""
        waves = np.concatenate(
            [rng.uniform(0.005, 0.018, (2, 3, 1)), rng.normal(0.0, 3.0, (2, 3, 3)), rng.uniform(0, 6.283, (2, 3, 1))], 2
        )
        return cls(
            noise=SmoothNoise(rng),
            stretch=rng.uniform(0.94, 1.06, (3, 1)).astype(np.float32),
            waves=waves.astype(np.float32),
            scalp=rng.uniform(0.025, 0.10),
            fat=rng.uniform(-0.2, 1.4),
            ventricles=rng.uniform(0.7, 1.5),
            sulci=rng.uniform(0.5, 1.5),
            enhancement=rng.uniform(0.05, 0.5),
            flow_void=bool(rng.random() < 0.5),
        )

    def native(self, points: Floats) -> Floats:
        """Map points of this person's head to points of the average head: float32 (3, n)."""
        points = points / self.stretch
        moved = points.copy()
        for wave in self.waves:
            moved += wave[:, :1] * np.sin(wave[:, 1:4] @ points + wave[:, 4:])
        return moved


def radius(points: Floats, centre: tuple[float, float, float], axes: tuple[float, float, float]) -> Floats:
    """The ellipsoid's radius function, 1 on its surface and less inside: float32 (n,)."""
    scaled = (points - np.array(centre, np.float32)[:, None]) / np.array(axes, np.float32)[:, None]
    return np.sqrt(np.einsum("in,in->n", scaled, scaled))


def base_height(x: Floats, y: Floats) -> Floats:
    """Height z of the skull base.

    The anterior fossa is high, the middle fossa is lower and has a raised sella, the posterior fossa is lowest.
    """
    front = _step((y - 0.24) / 0.03)
    back = _step((-0.14 - y) / 0.05)
    middle = -0.47 + 0.085 * np.exp(-((x / 0.14) ** 2))
    orbits = -0.30 + 0.08 * np.exp(-(((np.abs(x) - 0.3) / 0.14) ** 2))
    return (1 - front - back) * middle + orbits * front - 0.72 * back


def depth_in_cavity(points: Floats) -> Floats:
    """Approximate distance to the inner skull, negative outside the brain's cavity: float32 (n,)."""
    x, y, z = points
    return np.minimum((1 - radius(points, (0, -0.0184, 0), CAVITY)) * 0.75, z - base_height(x, y))


def petrous(points: Floats) -> NDArray[np.bool_]:
    """Whether a point lies in the ridge of bone between middle and posterior fossa: bool (n,)."""
    side = np.abs(points[0])
    return (np.abs(points[1] + 0.03 + 0.4 * side) < 0.045) & (points[2] < -0.36) & (side > 0.14) & (side < 0.46)


def healthy(points: Floats, head: Head) -> tuple[Labels, Floats]:
    """The tissue and the contrast agent at points of the average head.

    Returns:
        The tissues, values of ``Tissue``, uint8 (n,); and the concentrations of the contrast agent in mM, float32 (n,).
    """
    depth = depth_in_cavity(points)
    bone = petrous(points)
    labels = np.zeros(points.shape[1], np.uint8)
    agent = np.zeros(points.shape[1], np.float32)
    around = np.flatnonzero((depth <= 0) | bone)
    labels[around], agent[around] = _around_the_brain(points[:, around], depth[around], bone[around], head)
    inside = np.flatnonzero((depth > 0) & ~bone)
    labels[inside] = _brain(points[:, inside], depth[inside], head)
    _vessels(points, depth, head, labels, agent)
    return labels, agent


def _step(value: Floats) -> Floats:
    return np.tanh(0.5 * value) * np.float32(0.5) + np.float32(0.5)


def _around_the_brain(points: Floats, depth: Floats, bone: NDArray[np.bool_], head: Head) -> tuple[Labels, Floats]:
    x, y, z = points
    side = np.abs(x)
    mirrored = np.stack([side, y, z])
    below = np.where(z < -0.55, np.float32(0), np.float32(9))
    skin = np.minimum(radius(points, (0, 0, 0), SCALP), radius(points, (0, -0.12, -0.9), (0.5, 0.56, 9.0)) + below)
    head_depth = (1 - skin) * 0.8
    texture = head.noise(points, 0.25, channel=1)
    labels = np.where(texture > head.fat, Tissue.FAT, Tissue.MUSCLE).astype(np.uint8)
    agent = np.zeros_like(depth)
    labels[head_depth < head.scalp] = Tissue.FAT
    labels[head_depth < 0.012] = Tissue.MUSCLE  # skin
    labels[radius(mirrored, (0.30, 0.58, -0.27), (0.18, 0.24, 0.15)) < 1] = Tissue.FAT
    eye = radius(mirrored, (0.31, 0.67, -0.27), (0.12, 0.12, 0.12))
    labels[eye < 1] = Tissue.MUSCLE
    labels[eye < 0.9] = Tissue.CSF
    nose = radius(points, (0, 0.52, -0.46), (0.13, 0.26, 0.16)) < 1
    mucosa = nose & (texture > 0.2)
    labels[nose] = Tissue.AIR
    labels[mucosa] = Tissue.GLAND
    agent[mucosa] = head.enhancement * 0.5
    labels[radius(points, (0, 0.12, -0.78), (0.09, 0.09, 0.2)) < 1] = Tissue.AIR  # pharynx
    skull = (depth > -SKULL) & (head_depth > 0.02)
    diploe = np.abs(depth + 0.5 * SKULL) < 0.3 * SKULL
    labels[skull] = np.where(diploe, Tissue.MARROW, Tissue.BONE)[skull]
    labels[(radius(points, (0, -0.02, -0.52), (0.13, 0.11, 0.13)) < 1) & (depth <= -0.015)] = Tissue.MARROW  # clivus
    labels[bone] = Tissue.BONE
    labels[(radius(points, (0, 0.17, -0.50), (0.13, 0.11, 0.065)) < 1) & (depth < -0.02)] = Tissue.AIR  # sphenoid sinus
    labels[head_depth <= 0] = Tissue.AIR
    agent[head_depth <= 0] = 0
    return labels, agent


def _brain(points: Floats, depth: Floats, head: Head) -> Labels:
    x, y, z = points
    side = np.abs(x)
    mirrored = np.stack([side, y, z])
    fold = np.abs(head.noise(points, 0.22))
    core = radius(points, (0, -0.02, -0.03), (0.3, 0.46, 0.22)) < 1  # where the hemispheres are joined
    fissure = np.where(core, np.float32(1.0), side - 0.008)
    surface = np.minimum(depth - 0.022 * head.sulci, fissure)
    reach = np.clip(1 - surface / 0.17, 0, 1)  # folds are deepest at the surface
    labels = np.full(points.shape[1], Tissue.WHITE, np.uint8)
    labels[(fold < 0.75 * reach) | (surface < 0.04)] = Tissue.GREY
    labels[(fold < 0.13 * head.sulci * reach) | (surface < 0)] = Tissue.CSF

    thalamus = radius(mirrored, (0.10, -0.06, -0.05), (0.085, 0.14, 0.08)) < 1
    striatum = radius(mirrored, (0.23, 0.08, -0.01), (0.06, 0.17, 0.09)) < 1
    labels[thalamus | striatum] = Tissue.GREY
    size = head.ventricles
    bent = np.stack([side - 0.05 - 0.13 * np.clip(0.1 - y, 0, 1), y, z + 0.5 * y**2])
    labels[(radius(bent, (0.02, -0.04, 0.10), (0.05 * size, 0.34, 0.07 * size)) < 1) & (side > 0.008)] = Tissue.CSF
    labels[radius(points, (0, 0.0, -0.08), (0.02 * size, 0.12, 0.09)) < 1] = Tissue.CSF

    behind = (y < -0.12 - 0.3 * side) & (z < -0.24 - 0.1 * side)
    labels[behind | (radius(points, (0, -0.07, -0.36), (0.20, 0.18, 0.20)) < 1)] = Tissue.CSF
    labels[radius(points, (0, 0.08, -0.30), (0.17, 0.12, 0.09)) < 1] = Tissue.CSF  # cistern above the sella
    cerebellum = radius(mirrored, (0.17, -0.46, -0.47), (0.42, 0.34, 0.24))
    folia = np.sin(60 * np.hypot(y + 0.3, z + 0.3) + 2 * fold)
    grey = np.where(folia > 0.75, Tissue.CSF, Tissue.GREY)
    leaf = cerebellum < 0.98
    labels[leaf] = np.where(cerebellum > 0.62, grey, Tissue.WHITE)[leaf]
    stem = radius(np.stack([x, y + 0.13 - 0.16 * (z + 0.4), z]), (0, 0, -0.45), (0.10, 0.085, 0.9)) < 1
    pons = radius(points, (0, -0.09, -0.40), (0.15, 0.10, 0.12)) < 1
    labels[(stem & (z < -0.1)) | pons] = Tissue.WHITE
    labels[radius(points, (0, -0.245, -0.42), (0.06, 0.045, 0.09)) < 1] = Tissue.CSF  # fourth ventricle
    return labels


def _vessels(points: Floats, depth: Floats, head: Head, labels: Labels, agent: Floats) -> None:
    x, y, z = points
    side = np.abs(x)
    mirrored = np.stack([side, y, z])
    roof = (1 - radius(points, (0, -0.0184, 0), CAVITY)) * 0.75
    dural = (depth > -0.01) & (np.abs(roof) < 0.045)
    sagittal = dural & (side < 0.04 - roof * 0.4) & ((z > 0.1) | (y < -0.5)) & (z > -0.2)
    transverse = dural & (np.abs(z + 0.24) < 0.04) & (y < -0.25)
    falx = (side < 0.005) & (depth > 0) & (radius(points, (0, -0.02, -0.03), (0.3, 0.5, 0.26)) > 1) & (z > -0.2)
    choroid = radius(mirrored, (0.115, -0.14, 0.055), (0.022, 0.11, 0.03)) < 1
    veins = sagittal | transverse | choroid
    labels[veins | falx] = Tissue.BLOOD
    agent[veins] = head.enhancement
    agent[falx] = 0.3 * head.enhancement

    gland = radius(points, SELLA, (0.07, 0.05, 0.04)) < 1
    stalk = (np.hypot(x, y - 0.08) < 0.014) & (z > -0.37) & (z < -0.16)
    labels[gland | stalk] = Tissue.GLAND
    agent[gland | stalk] = 0.7 * head.enhancement
    carotid = (np.hypot(side - 0.125, y - 0.10) < 0.027) & (z > -0.50) & (z < -0.26)
    basilar = (np.hypot(x, y - 0.035) < 0.02) & (z > -0.42) & (z < -0.24) & (depth > 0)
    wiggle = 0.04 * np.sin(14 * side)
    middle = (np.hypot(y - 0.10 - wiggle, z + 0.26 - wiggle) < 0.014) & (side > 0.11) & (side < 0.5)
    arteries = carotid | basilar | middle
    labels[arteries] = Tissue.BONE if head.flow_void else Tissue.BLOOD
    agent[arteries] = 0.0 if head.flow_void else head.enhancement
