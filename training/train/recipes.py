"""How a network is trained: the recipes by name."""

from collections.abc import Callable
from dataclasses import dataclass

PLAIN_HEAD, ORIGINAL_HEAD = "plain", "original"  # what training.train.networks can put on a backbone


@dataclass(frozen=True)
class Phase:
    """A part of the training in which the same weights learn.

    Attributes:
        name: The name in the history.
        epochs: How many there are, if patience does not end the phase early.
        learning_rate: The rate at the phase's start.
        backbone: Whether the backbone learns as well, or the head alone.
        batch_normalization: Whether a learning backbone's BatchNormalization learns.
        cosine: Whether the learning rate falls to 0 along a cosine, or stays.
    """

    name: str
    epochs: int
    learning_rate: float
    backbone: bool
    batch_normalization: bool
    cosine: bool


@dataclass(frozen=True)
class Augmentation:
    """The largest change of a training image; each image gets its own, drawn uniformly from minus to plus this.

    The changes are those that heads show in a scanner: heads are upright, nearly symmetric and never upside down.

    Attributes:
        mirror: Whether every second image is mirrored left to right.
        rotation: Degrees.
        zoom: Share of the size.
        shift: Share of the side.
        brightness: Share of the grey levels.
        contrast: Share of the grey levels' distance from their mean.
    """

    mirror: bool
    rotation: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to train a network.

    Attributes:
        head: The network's last layers, PLAIN_HEAD or ORIGINAL_HEAD.
        phases: In order; the last one is the main phase.
        optimizer: Keras' name of it.
        augmentation: How training images are changed.
        patience: Epochs of a phase without a better validation loss before it ends. None never ends a phase early, and
            keeps the last epoch's weights in place of the best.
        ood_samples: Whether the network is also shown out-of-distribution samples, images that are no scans.
    """

    head: str
    phases: tuple[Phase, ...]
    optimizer: str
    augmentation: Augmentation
    patience: int | None
    ood_samples: bool


def _two_phase(weights: str | None) -> Recipe:
    """First the head alone on a frozen backbone, then everything slowly, except BatchNormalization's statistics.

    Random weights are not worth freezing: without pretrained ones there is one phase, in which everything learns.
    """
    phases: tuple[Phase, ...]
    if weights:
        phases = (
            Phase("head", 5, 1e-3, backbone=False, batch_normalization=False, cosine=True),
            # https://keras.io/guides/transfer_learning: a very low rate, BatchNormalization in inference mode
            Phase("all", 20, 1e-5, backbone=True, batch_normalization=False, cosine=True),
        )
    else:
        phases = (Phase("all", 30, 2e-3, backbone=True, batch_normalization=True, cosine=True),)
    return Recipe(
        head=PLAIN_HEAD,
        phases=phases,
        optimizer="adam",
        augmentation=Augmentation(mirror=True, rotation=8, zoom=0.08, shift=0.04, brightness=0.1, contrast=0.1),
        patience=6,
        ood_samples=True,
    )


def _original(weights: str | None) -> Recipe:
    """The recipe this project starts from: Adamax at one rate, all layers at once, ten epochs, the last one kept.

    Its metrics are those of public notebooks on this data set; they validated on half of Testing, which we do not.
    """
    return Recipe(
        head=ORIGINAL_HEAD,
        phases=(Phase("all", 10, 1e-3, backbone=True, batch_normalization=True, cosine=False),),
        optimizer="adamax",
        augmentation=Augmentation(mirror=False, brightness=0.2),
        patience=None,
        ood_samples=False,
    )


TWO_PHASE, ORIGINAL = "two-phase", "original"
# From a recipe's name to the function that makes it for "imagenet" weights or, with None, for random ones.
RECIPES: dict[str, Callable[[str | None], Recipe]] = {TWO_PHASE: _two_phase, ORIGINAL: _original}
