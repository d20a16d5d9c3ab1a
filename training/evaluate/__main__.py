"""``python -m training.evaluate RUN DATA``: what a trained model is worth, on pictures it was not trained on."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training import command, data, run
from training.evaluate import evaluate

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, evaluate, and say the main figures."""
    parser = command.parser(
        "evaluate", "Test a run of python -m training.train. Writes RUN/evaluation and the figures into RUN/model.json."
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    command.add_data(parser)
    command.add_groups(parser)
    args = parser.parse_args(argv)
    with command.ending(parser, "the same command begins anew"):
        run.read_card(args.run)  # before a folder is made in what is none
        command.check_folder(args.run / "evaluation")
        found = data.find(args.data)
        metrics = evaluate(args.run, found, command.groups_of(args, found)).metrics
        for name, title in (("test", "test pictures"), ("deduplicated_test", "of them without copies")):
            if metrics[name]:
                low, high = metrics[name]["intervals"]["accuracy"]
                log.info(
                    "accuracy on %d %s: %.2f %% (%.2f to %.2f)",
                    metrics[name]["pictures"], title, *(100 * v for v in (metrics[name]["accuracy"], low, high)),
                )  # fmt: skip
        log.info("written: %s, %s", args.run / "evaluation" / "report.html", args.run / "model.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
