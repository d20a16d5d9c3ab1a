"""``python -m training.evaluate RUN DATA``: what a trained model is worth, on images it was not trained on."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training import cli, data
from training.evaluate import evaluate
from training.train import run

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, evaluate, and say the main figures."""
    parser = cli.parser(
        "evaluate", "Test a run of python -m training.train. Writes RUN/evaluation and the figures into RUN/model.json."
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    cli.add_data(parser)
    cli.add_groups(parser)
    args = parser.parse_args(argv)
    with cli.errors(parser, "the same command begins anew"):
        run.read_metadata(args.run)  # before a folder is made in what is none
        cli.check_folder(args.run / "evaluation")
        found = data.find(args.data)
        metrics = evaluate(args.run, found, cli.groups_of(args, found)).metrics
        for name, title in (("test", "test images"), ("deduplicated_test", "of them without copies")):
            if metrics[name]:
                low, high = metrics[name]["intervals"]["accuracy"]
                log.info(
                    "accuracy on %d %s: %.2f %% (%.2f to %.2f)",
                    metrics[name]["images"], title, *(100 * v for v in (metrics[name]["accuracy"], low, high)),
                )  # fmt: skip
        log.info("written: %s, %s", args.run / "evaluation" / "report.html", args.run / "model.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
