"""``python -m training.experiment SOURCE OUT``: from images to a served model (what ``make experiment`` calls)."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training import cli
from training.compare.__main__ import add_comparison, plan_of
from training.data.source import add_source, ready
from training.experiment import experiment
from training.experiment.estimate import stages, words

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, say how long it will take, do it, and say where it lies."""
    parser = cli.parser(
        "experiment",
        "Explore and audit the images, compare networks, test the one that is proposed, write its card, convert and "
        "serve it. The same command goes on where it was stopped.",
    )
    add_source(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="the experiment's folder")
    parser.add_argument("--estimate", action="store_true", help="only say how long it will take")
    add_comparison(parser)
    cli.add_training(parser)
    args = parser.parse_args(argv)
    with cli.ending(parser, "the same command goes on from here"):
        plan = plan_of(parser, args)
        cli.check_folder(args.out)
        data = ready(args.source)
        left = stages(data, plan, args.out)
        for stage, seconds in left.items():
            log.info("%-20s %s", stage, words(seconds))
        log.info("together about %s on this machine, less where training stops early", words(sum(left.values())))
        if args.estimate:
            return 0
        document = experiment(data, plan, args.out)
        log.info("written: %s", args.out / "report.html")
        log.info("serve it with: make run MODEL=%s", args.out / document["run"] / "model.keras")
    return 0


if __name__ == "__main__":
    sys.exit(main())
