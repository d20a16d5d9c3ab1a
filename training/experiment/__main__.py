"""``python -m training.experiment SOURCE OUT``: from images to a served model (what ``make experiment`` calls)."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training import cli
from training.compare.plan import add_plan, read_plan
from training.data.source import add_source, ready
from training.report import REPORT

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, log how long it will take, do it, and log where the results lie."""
    parser = cli.parser(
        "experiment",
        "Explore and audit the images, compare networks, test the one that is proposed, write its card, convert and "
        "serve it. The same command goes on where it was stopped.",
    )
    add_source(parser)
    cli.add_healthy(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="the experiment's folder")
    parser.add_argument("--estimate", action="store_true", help="only log how long it will take")
    add_plan(parser)
    args = parser.parse_args(argv)
    with cli.errors(parser, "the same command goes on from here"):
        plan = read_plan(parser, args)
        # These import TensorFlow, for which --help should not wait.
        from training.experiment.estimate import duration, stages
        from training.experiment.pipeline import experiment

        cli.check_folder(args.out)
        data_set = ready(args.source, healthy=args.healthy)
        left = stages(data_set, plan, args.out)
        for stage, seconds in left.items():
            log.info("%-20s %s", stage, duration(seconds))
        log.info("together about %s on this machine, less where training stops early", duration(sum(left.values())))
        if args.estimate:
            return 0
        document = experiment(data_set, plan, args.out)
        log.info("written: %s", args.out / REPORT)
        log.info("serve it with: make run MODEL=%s", args.out / document["run"] / "model.keras")
    return 0


if __name__ == "__main__":
    sys.exit(main())
