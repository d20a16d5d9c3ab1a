"""``python -m training.evaluate RUN DATA``: test a trained network on images that it was not trained on."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training import cli
from training.data.data_set import find
from training.data.groups import load_or_by_patient
from training.report import REPORT

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, evaluate, and log the main metrics."""
    parser = cli.parser(
        "evaluate", "Test a run of python -m training.train. Writes RUN/evaluation and the metrics into RUN/model.json."
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    cli.add_data(parser)
    cli.add_groups(parser)
    cli.add_healthy(parser)
    args = parser.parse_args(argv)
    with cli.errors(parser, "the same command starts again from the beginning"):
        # These import TensorFlow, for which --help should not wait.
        from training.evaluate.evaluation import FOLDER, evaluate
        from training.train import run

        run.read_metadata(args.run)  # fails before a folder is made where there is no run
        cli.check_folder(args.run / FOLDER)
        data = find(args.data, args.healthy)
        metrics = evaluate(args.run, data, load_or_by_patient(args.groups, data)).metrics
        for name, title in (("test", "test images"), ("deduplicated_test", "of them without copies")):
            if metrics[name]:
                interval = metrics[name]["intervals"]["accuracy"]
                accuracy, low, high = (100 * value for value in (metrics[name]["accuracy"], *interval))
                count = metrics[name]["images"]
                log.info("accuracy on %d %s: %.2f %% (%.2f to %.2f)", count, title, accuracy, low, high)
        log.info("written: %s, %s", args.run / FOLDER / REPORT, args.run / run.METADATA)
    return 0


if __name__ == "__main__":
    sys.exit(main())
