"""``python -m training.train DATA RUN``: a folder of images to a Keras model and its metadata."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training import cli
from training.data.data_set import find
from training.data.groups import load_or_by_patient
from training.option_fields import add_options, read_options
from training.train.options import Options, configure

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, train, and log the result."""
    parser = cli.parser(
        "train",
        "Train a classifier of brain scans on a part of Training, and validate it on the rest. Writes RUN/model.keras "
        "and its metadata RUN/model.json. The same command goes on with a run that was interrupted.",
    )
    cli.add_data(parser)
    cli.add_groups(parser)
    cli.add_healthy(parser)
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument(
        "--model", default="small", help="small, or a backbone of keras.applications by name (default: small)"
    )
    add_options(parser, Options)
    args = parser.parse_args(argv)
    with cli.errors(parser, "the same command goes on after the last whole epoch"):
        configuration = configure(args.model, read_options(parser, args, Options))
        from training.train import run  # imports TensorFlow, for which --help should not wait

        data_set = find(args.data, args.healthy)
        groups = load_or_by_patient(args.groups, data_set)
        cli.check_folder(args.run)
        metadata = run.train(data_set, groups, configuration, args.run)
        validation = metadata.metrics["validation"]
        log.info("accuracy on %d validation images: %.2f %%", validation["images"], 100 * validation["accuracy"])
        log.info("written: %s, %s", args.run / run.MODEL, args.run / run.METADATA)
    return 0


if __name__ == "__main__":
    sys.exit(main())
