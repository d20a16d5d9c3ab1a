"""What a comparison does: its options on the command line, and the plan that follows from them."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from training.option_fields import SEEDS, add_options, at_least, option, read_options
from training.train.options import Configuration, Options, configure

_MODELS = "Xception,InceptionV3,ResNet101V2,EfficientNetV2B0,ConvNeXtTiny,MobileNetV3Small"


@dataclass(frozen=True, kw_only=True)
class ComparisonOptions:
    """The options of a comparison, besides those of a run."""

    models: str = option(_MODELS, "the networks", metavar="A,B,...")
    seeds: int = option(3, "runs of each network", at_least(1))
    trials: int = option(5, "of the search for a learning rate; 0: none", at_least(0))
    trial_epochs: int = option(4, "epochs of a trial's main phase", at_least(1))


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        candidates: The configuration of each network.
        seeds: One for each run of a network.
        trials: Number of trials of the search for a learning rate; 0 takes the candidate's own rate.
        trial_epochs: Epochs of a trial's main phase.
    """

    candidates: Sequence[Configuration]
    seeds: Sequence[int]
    trials: int
    trial_epochs: int

    def trial(self, candidate: Configuration) -> Configuration:
        """A candidate's short run, at its own learning rate."""
        return replace(candidate.with_main_phase(epochs=self.trial_epochs), seed=self.seeds[0])

    def runs(self, model: str, out: Path) -> list[Path]:
        """The folders of a network's runs, in the order of the seeds."""
        return [out / model / f"seed-{seed}" for seed in self.seeds]


def add_plan(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that ``read_plan`` reads."""
    add_options(parser, ComparisonOptions)
    add_options(parser, Options)


def read_plan(parser: argparse.ArgumentParser, args: argparse.Namespace) -> Plan:
    """The plan that the command line describes; a bad value ends the program.

    Raises:
        NetworkError: There is no such network, or none with such weights.
    """
    comparison, options = read_options(parser, args, ComparisonOptions), read_options(parser, args, Options)
    if options.seed + comparison.seeds > SEEDS:
        parser.error("--seed is too large for so many --seeds")
    names = list(dict.fromkeys(filter(None, comparison.models.split(","))))
    if not names:
        parser.error("--models names no network")
    return Plan(
        [configure(name, options) for name in names],
        range(options.seed, options.seed + comparison.seeds),
        comparison.trials,
        comparison.trial_epochs,
    )
