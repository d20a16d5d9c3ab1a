"""``python -m training.card RUN``: write the model card of a run that was evaluated."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training import cli

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and write the model card."""
    parser = cli.parser("card", "Write RUN/card.md from the run's own files, and its statements into RUN/model.json.")
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument(
        "--audit", type=Path, metavar="FILE", help="audit.json that python -m training.audit wrote for the run's data"
    )
    parser.add_argument(
        "--version", type=Path, metavar="FOLDER",
        help="the run's converted version, MODELS/NAME/NUMBER: the card says how its int8 form was judged",
    )  # fmt: skip
    args = parser.parse_args(argv)
    with cli.errors(parser, "the same command starts again from the beginning"):
        from training.card.model_card import CARD, write  # imports TensorFlow, for which --help should not wait

        write(args.run, args.audit, args.version)
        log.info("written: %s", args.run / CARD)
    return 0


if __name__ == "__main__":
    sys.exit(main())
