"""How a network is trained: the recipes by name, and the options that a run is made of."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

TWO_PHASE, ORIGINAL = "two-phase", "original"
RECIPES = (TWO_PHASE, ORIGINAL)
PLAIN_HEAD, ORIGINAL_HEAD = "plain", "original"  # of training.train.networks


@dataclass(frozen=True)
class Phase:
    """A part of the training with one set of learning weights.

    Attributes:
        backbone: whether the backbone learns, too, or the head alone.
        batch_normalization: whether a learning backbone's BatchNormalization learns.
        cosine: whether the learning rate falls to 0 along a cosine, or stays.
    """

    name: str
    epochs: int
    learning_rate: float
    backbone: bool
    batch_normalization: bool
    cosine: bool


@dataclass(frozen=True)
class Augmentation:
    """The largest change that a training image gets, drawn evenly from plus to minus it for each image anew.

    What a head may look like in a scanner, and no more: heads are upright, nearly symmetric and never upside down.

    Attributes:
        mirror: left to right, for every second image. rotation: degrees. zoom: share of the size.
        shift: share of the side. brightness, contrast: share of the grey levels' scale.
    """

    mirror: bool
    rotation: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0


@dataclass(frozen=True)
class Options:
    """Everything that decides what a run's weights become, besides the images.

    Attributes:
        weights: "imagenet", or None for random ones. side: of the images, pixels.
        optimizer: Keras' name. patience: epochs of a phase without a better validation loss before it ends; None
            never ends it early and keeps the last epoch's weights in place of the best.
        outliers: whether images that are no scans are shown, too (outlier exposure).
        precision: Keras' dtype policy. seed: of weights, order, augmentation. split_seed: of the validation split.
    """

    model: str
    weights: str | None
    recipe: str
    head: str
    side: int
    resampling: str
    phases: tuple[Phase, ...]
    optimizer: str
    batch_size: int
    augmentation: Augmentation
    label_smoothing: float
    patience: int | None
    outliers: bool
    precision: str
    seed: int
    split_seed: int

    @property
    def epochs(self) -> int:
        """Of all phases together, where none ends early."""
        return sum(phase.epochs for phase in self.phases)

    def as_json(self) -> dict[str, Any]:
        """As a run's file gives them; equal options give equal documents."""
        return asdict(self) | {"phases": [asdict(phase) for phase in self.phases]}


def options(
    recipe: str,
    model: str,
    weights: str | None,
    *,
    side: int | None = None,
    resampling: str = "bilinear",
    epochs: int | None = None,
    frozen_epochs: int | None = None,
    batch_size: int = 32,
    learning_rate: float | None = None,
    label_smoothing: float = 0.0,
    patience: int | None = None,
    precision: str = "float32",
    seed: int = 0,
    split_seed: int = 0,
) -> Options:
    """A recipe with what the caller wants otherwise; None takes the recipe's own.

    Args:
        epochs, learning_rate: of the last phase, the main one.

    Raises:
        NetworkError: no such model, or no such weights of it.
    """
    from training.train import networks  # TensorFlow comes with it: not for --help

    networks.check(model, weights)
    made = _original(model, weights) if recipe == ORIGINAL else _two_phase(model, weights)
    first, last = made.phases[:-1], made.phases[-1]
    last = replace(last, epochs=epochs or last.epochs, learning_rate=learning_rate or last.learning_rate)
    if frozen_epochs is not None:
        first = tuple(replace(phase, epochs=frozen_epochs) for phase in first if frozen_epochs)
    return replace(
        made,
        phases=(*first, last),
        side=side or networks.default_side(model),
        resampling=resampling,
        batch_size=batch_size,
        label_smoothing=label_smoothing,
        patience=made.patience if patience is None else patience,
        precision=precision,
        seed=seed,
        split_seed=split_seed,
    )


def with_learning_rate(made: Options, rate: float) -> Options:
    """The same options with another rate in the main phase."""
    return replace(made, phases=(*made.phases[:-1], replace(made.phases[-1], learning_rate=rate)))


def with_epochs(made: Options, epochs: int) -> Options:
    """The same options with another length of the main phase."""
    return replace(made, phases=(*made.phases[:-1], replace(made.phases[-1], epochs=epochs)))


def _options(model: str, weights: str | None, recipe: str, phases: Sequence[Phase], **others: Any) -> Options:
    return Options(
        model,
        weights,
        recipe,
        side=0,  # the caller knows it
        phases=tuple(phases),
        resampling="bilinear",
        batch_size=32,
        label_smoothing=0.0,
        precision="float32",
        seed=0,
        split_seed=0,
        **others,
    )


def _two_phase(model: str, weights: str | None) -> Options:
    """The head alone on a frozen backbone, then all of it slowly, but for BatchNormalization's statistics.

    Random weights are not worth freezing: without pretrained ones there is one phase, in which everything learns.
    """
    if weights:
        phases = [
            Phase("head", 5, 1e-3, backbone=False, batch_normalization=False, cosine=True),
            # https://keras.io/guides/transfer_learning: a very low rate, BatchNormalization in inference mode
            Phase("all", 20, 1e-5, backbone=True, batch_normalization=False, cosine=True),
        ]
    else:
        phases = [Phase("all", 30, 2e-3, backbone=True, batch_normalization=True, cosine=True)]
    return _options(
        model,
        weights,
        TWO_PHASE,
        phases,
        head=PLAIN_HEAD,
        optimizer="adam",
        augmentation=Augmentation(mirror=True, rotation=8, zoom=0.08, shift=0.04, brightness=0.1, contrast=0.1),
        patience=6,
        outliers=True,
    )


def _original(model: str, weights: str | None) -> Options:
    """The recipe this project starts from: Adamax at one rate, all layers at once, ten epochs, the last one kept.

    Its figures are those of public notebooks on this data set; they validated on half of Testing, which we do not.
    """
    return _options(
        model,
        weights,
        ORIGINAL,
        [Phase("all", 10, 1e-3, backbone=True, batch_normalization=True, cosine=False)],
        head=ORIGINAL_HEAD,
        optimizer="adamax",
        augmentation=Augmentation(mirror=False, brightness=0.2),
        patience=None,
        outliers=False,
    )
