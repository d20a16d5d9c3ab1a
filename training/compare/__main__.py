"""``python -m training.compare DATA OUT``: which network, by accuracy against cost."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training import cli, data
from training.compare import Plan, compare

log = logging.getLogger(__name__)

MODELS = "Xception,InceptionV3,ResNet101V2,EfficientNetV2B0,ConvNeXtTiny,MobileNetV3Small"


def add_comparison(parser: argparse.ArgumentParser) -> None:
    """The options of a comparison."""
    parser.add_argument("--models", default=MODELS, metavar="A,B,...", help="the networks (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each network (default: %(default)s)")
    parser.add_argument("--trials", type=int, default=5, help="of the search for a learning rate; 0: none (default: 5)")
    parser.add_argument("--trial-epochs", type=int, default=4, help="of a trial's main phase (default: %(default)s)")


def plan_of(parser: argparse.ArgumentParser, args: argparse.Namespace) -> Plan:
    """What the command line asks for.

    Raises:
        NetworkError: no such network.
    """
    for name, least in (("seeds", 1), ("trials", 0), ("trial_epochs", 1)):
        if getattr(args, name) < least:
            parser.error(f"--{name.replace('_', '-')} must be {least} or more")
    if args.seed + args.seeds > 2**32 - 1:
        parser.error("--seed is too large for so many --seeds")
    names = list(dict.fromkeys(filter(None, args.models.split(","))))
    if not names:
        parser.error("--models names no network")
    candidates = [cli.training_options(parser, args, name) for name in names]
    return Plan(candidates, range(args.seed, args.seed + args.seeds), args.trials, args.trial_epochs)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, compare, and print the table."""
    parser = cli.parser(
        "compare", "Train several networks by several seeds, and set their accuracy on validation against their cost."
    )
    cli.add_data(parser)
    cli.add_groups(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="the comparison's folder")
    add_comparison(parser)
    cli.add_training(parser)
    args = parser.parse_args(argv)
    with cli.ending(parser, "the same command goes on from here"):
        plan = plan_of(parser, args)
        found = data.find(args.data)
        groups = cli.groups_of(args, found)
        cli.check_folder(args.out)
        document = compare(found, groups, plan, args.out)
        for row in document["rows"]:
            mean = sum(row["accuracies"]) / len(row["accuracies"])
            percent = [100 * value for value in (mean, row["low"], row["high"])]
            log.info("%-20s %5.1f %% (%.1f to %.1f)  %8.1f ms", row["model"], *percent, row["milliseconds"])
        log.info("proposed: %s; written: %s", document["chosen"]["model"], args.out / "report.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
