"""The options of a run, as the command line gives them, and the configuration that follows from them."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from brain_tumor.metadata import COLOR_MODES, RESAMPLINGS, RGB, ImageSpec
from training.option_fields import ABOVE_ZERO, BELOW_ONE, FINITE, NOT_NEGATIVE, SEED, at_most, option
from training.train.recipes import RECIPES, TWO_PHASE, Phase, Recipe

_SIDE = at_most(1024)  # pixels; no backbone takes more
_WEIGHTS = ("imagenet", "none")
_RECIPE = "the recipe's own"
_AUTO = "auto"
_PRECISIONS = (_AUTO, "float32", "mixed_float16", "mixed_bfloat16")
# Options that older runs do not name: at these defaults the document of a configuration leaves them out, too, so that
# an older run is recognised as the same one.
_ADDED = {"color_mode": RGB, "crop_to_head": False, "pad_to_aspect_ratio": False}


@dataclass(frozen=True, kw_only=True)
class SharedOptions:
    """Options that a configuration takes over as they are."""

    weights: str | None = option(None, "imagenet: fetch pretrained weights", choices=_WEIGHTS)
    recipe: str = option(TWO_PHASE, "how the network is trained", choices=tuple(RECIPES))
    resampling: str = option("bilinear", "how images are resized", choices=RESAMPLINGS)
    color_mode: str = option(RGB, "grayscale: three equal channels; bgr: as OpenCV reads", choices=COLOR_MODES)
    crop_to_head: bool = option(False, "crop images to the head's contour")
    pad_to_aspect_ratio: bool = option(False, "pad images with black and do not distort them")
    batch_size: int = option(32, "images in a training step", ABOVE_ZERO)
    label_smoothing: float = option(0.0, "0 to below 1", BELOW_ONE)
    seed: int = option(0, "the same seed gives the same model", SEED)
    split_seed: int = option(0, "decides which images are held out to validate on", SEED)


@dataclass(frozen=True, kw_only=True)
class Options(SharedOptions):
    """Every option of a run and of the command line; None stands for the recipe's or the model's own value."""

    size: int | None = option(None, "side of the images, pixels", ABOVE_ZERO, _SIDE, otherwise="the model's own")
    frozen_epochs: int | None = option(
        None,
        "epochs of the head alone before the main phase, with pretrained weights; 0: none",
        NOT_NEGATIVE,
        otherwise=_RECIPE,
    )
    epochs: int | None = option(None, "epochs of the main phase", ABOVE_ZERO, otherwise=_RECIPE)
    learning_rate: float | None = option(None, "at the main phase's start", ABOVE_ZERO, FINITE, otherwise=_RECIPE)
    patience: int | None = option(None, "epochs without progress that end a phase", ABOVE_ZERO, otherwise=_RECIPE)
    precision: str = option(_AUTO, "auto: mixed_float16 on a GPU that is fast with it", choices=_PRECISIONS)


@dataclass(frozen=True, kw_only=True)
class Configuration(SharedOptions, Recipe):
    """Everything that decides what a run's weights become, besides the images.

    Attributes:
        model: The network's name.
        side: Side of the images, in pixels.
        precision: Keras' dtype policy.
    """

    model: str
    side: int
    precision: str

    @property
    def image(self) -> ImageSpec:
        """The images that the network takes."""
        return ImageSpec(
            self.side, self.side, self.resampling, self.color_mode, self.crop_to_head, self.pad_to_aspect_ratio
        )

    @property
    def epochs(self) -> int:
        """The epochs of all phases together, if none ends early."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def main_phase(self) -> Phase:
        """The last phase."""
        return self.phases[-1]

    def with_main_phase(self, **changes: Any) -> "Configuration":
        """The same configuration with other values of the main phase's fields."""
        return replace(self, phases=(*self.phases[:-1], replace(self.main_phase, **changes)))

    def as_json(self) -> dict[str, Any]:
        """The configuration as a run's file holds it; equal configurations give equal documents."""
        document = asdict(self) | {"phases": [asdict(phase) for phase in self.phases]}  # as JSON reads it back, a list
        return {name: value for name, value in document.items() if name not in _ADDED or value != _ADDED[name]}


def configure(model: str, options: Options) -> Configuration:
    """The configuration of a run of one network.

    Raises:
        NetworkError: There is no such network, or none with such weights.
    """
    from training.train import networks  # imports TensorFlow, for which --help should not wait

    networks.check(model, options.weights)
    recipe = RECIPES[options.recipe](options.weights)
    configuration = Configuration(
        **vars(recipe),
        **{shared.name: getattr(options, shared.name) for shared in fields(SharedOptions)},
        model=model,
        side=options.size or networks.default_side(model),
        precision=networks.fast_precision() if options.precision == _AUTO else options.precision,
    )
    if options.patience is not None:
        configuration = replace(configuration, patience=options.patience)
    if options.frozen_epochs is not None:
        frozen = [replace(phase, epochs=options.frozen_epochs) for phase in recipe.phases[:-1] if options.frozen_epochs]
        configuration = replace(configuration, phases=(*frozen, configuration.main_phase))
    changes = {"epochs": options.epochs, "learning_rate": options.learning_rate}
    return configuration.with_main_phase(**{name: value for name, value in changes.items() if value is not None})
