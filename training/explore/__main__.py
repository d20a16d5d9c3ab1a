"""``python -m training.explore DATA OUT``: a report on the images of a data set."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training import cli, data
from training.explore import IMAGES, SUMMARY, explore

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, explore, and say what was written."""
    parser = cli.parser(
        "explore",
        "Look at every image of a data set: classes, samples, sizes, brightness, borders, files, averages. Writes "
        f"OUT/report.html and its figures, OUT/{SUMMARY}, and OUT/{IMAGES}, a row an image.",
    )
    cli.add_data(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="the report's folder")
    parser.add_argument("--seed", type=int, default=0, help="another seed shows other samples (default: 0)")
    args = parser.parse_args(argv)
    if args.seed < 0:
        parser.error(f"--seed must not be negative, not {args.seed}")
    with cli.errors(parser, "the same command begins anew"):
        found = data.find(args.data)
        cli.check_folder(args.out)
        explore(found, args.out, args.seed)
        log.info("written: %s, %s, %s", *(args.out / name for name in ("report.html", SUMMARY, IMAGES)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
