"""``python -m training.card RUN``: the model card of a run that was evaluated."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training import card, cli

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and write the card."""
    parser = cli.parser("card", "Write RUN/card.md from the run's own files, and its statements into RUN/model.json.")
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument("--audit", type=Path, metavar="FILE", help="audit.json of python -m training.audit on its data")
    args = parser.parse_args(argv)
    with cli.errors(parser, "the same command begins anew"):
        card.write(args.run, args.audit)
        log.info("written: %s", args.run / card.CARD)
    return 0


if __name__ == "__main__":
    sys.exit(main())
