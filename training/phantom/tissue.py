"""Tissues and their signal in a T1-weighted scan."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]

RELAXIVITY = 4.5  # r1 of a gadolinium contrast agent, 1 / (mM s)


class Tissue(IntEnum):
    """The tissue at a point of the head."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    BONE = 3
    MARROW = 4
    CSF = 5
    GREY = 6
    WHITE = 7
    BLOOD = 8
    GLAND = 9
    TUMOUR = 10
    NECROSIS = 11
    OEDEMA = 12


# Proton density; A (s) and C of T1 = A * field ** C, field in T; T2 (s). Scalp, marrow, CSF, grey, white and tumour are
# from Gach et al. 2008 (MR Shepp-Logan phantom); the others are set between them by their usual look in T1.
_PROPERTIES: dict[Tissue, tuple[float, float, float, float]] = {
    Tissue.AIR: (0.0, 1.0, 0.0, 0.1),
    Tissue.FAT: (0.8, 0.324, 0.137, 0.07),
    Tissue.MUSCLE: (0.6, 0.9, 0.3, 0.05),
    Tissue.BONE: (0.05, 0.5, 0.0, 0.02),
    Tissue.MARROW: (0.45, 0.533, 0.088, 0.05),
    Tissue.CSF: (0.98, 4.2, 0.0, 1.99),
    Tissue.GREY: (0.745, 0.857, 0.376, 0.1),
    Tissue.WHITE: (0.617, 0.583, 0.382, 0.08),
    Tissue.BLOOD: (0.85, 1.4, 0.2, 0.15),
    Tissue.GLAND: (0.75, 0.9, 0.3, 0.1),
    Tissue.TUMOUR: (0.95, 0.926, 0.217, 0.1),
    Tissue.NECROSIS: (0.95, 2.6, 0.1, 0.4),
    Tissue.OEDEMA: (0.85, 1.5, 0.3, 0.15),
}


@dataclass(frozen=True)
class Sequence:
    """The settings of a spin-echo scan, and how one person's tissues differ from the table.

    Attributes:
        field: Field strength, in T.
        repetition_time: In s.
        echo_time: In s.
        t1_factors: Factor of each tissue's T1: float64 (tissue,).
        density_factors: Factor of each tissue's proton density: float64 (tissue,).
    """

    field: float
    repetition_time: float
    echo_time: float
    t1_factors: NDArray[np.float64]
    density_factors: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Sequence":
        """Draw settings: TR around 500 ms, TE around 15 ms, 1 to 3 T."""
        factors = rng.uniform(0.92, 1.08, len(Tissue))
        factors[Tissue.WHITE] *= rng.uniform(0.72, 0.95)  # grey and white differ more in some sequences than in others
        densities = np.ones(len(Tissue))
        densities[[Tissue.FAT, Tissue.MUSCLE]] = rng.uniform(0.6, 1.1, 2)  # fat is suppressed more or less
        densities[Tissue.MARROW] = rng.uniform(0.3, 1.6)  # marrow holds more fat with age
        return cls(rng.uniform(1.0, 3.0), rng.uniform(0.35, 0.65), rng.uniform(0.010, 0.020), factors, densities)

    def signal(self, labels: Labels, agent: Floats) -> Floats:
        """M0 (1 - exp(-TR / T1)) exp(-TE / T2), with 1/T1' = 1/T1 + r1 C.

        Args:
            labels: Values of ``Tissue``: uint8 (...).
            agent: Concentration C of the contrast agent in mM: float32 (...).
        """
        density, a, c, t2 = np.array([_PROPERTIES[tissue] for tissue in Tissue]).T
        rate = (1.0 / (a * self.field**c * self.t1_factors)).astype(np.float32)
        scale = (density * self.density_factors * np.exp(-self.echo_time / t2)).astype(np.float32)
        return scale[labels] * -np.expm1(-np.float32(self.repetition_time) * (rate[labels] + RELAXIVITY * agent))

    def white(self) -> float:
        """The signal of white matter, the unit of noise and brightness."""
        return float(self.signal(np.array([Tissue.WHITE], np.uint8), np.zeros(1, np.float32))[0])
