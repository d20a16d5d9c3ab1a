"""``python -m training.train DATA RUN``: a folder of images to a Keras model and its card."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training import cli, data

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, train, and say what came out."""
    parser = cli.parser(
        "train",
        "Train a classifier of brain scans on a part of Training, and validate it on the rest. Writes RUN/model.keras "
        "and its card RUN/model.json. The same command goes on with a run that was interrupted.",
    )
    cli.add_data(parser)
    cli.add_groups(parser)
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument(
        "--model", default="small", help="small, or a backbone of keras.applications by name (default: small)"
    )
    cli.add_training(parser)
    args = parser.parse_args(argv)
    with cli.ending(parser, "the same command goes on after the last whole epoch"):
        from training.train import run  # TensorFlow comes with it: not for --help

        options = cli.training_options(parser, args, args.model)
        found = data.find(args.data)
        groups = cli.groups_of(args, found)
        cli.check_folder(args.run)
        card = run.train(found, groups, options, args.run)
        validation = card.metrics["validation"]
        log.info("accuracy on %d validation images: %.2f %%", validation["images"], 100 * validation["accuracy"])
        log.info("written: %s, %s", args.run / run.MODEL, args.run / run.CARD)
    return 0


if __name__ == "__main__":
    sys.exit(main())
