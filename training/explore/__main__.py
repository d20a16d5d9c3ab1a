"""``python -m training.explore DATA OUT``: a report on the images of a data set."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training import cli
from training.data.data_set import find
from training.explore.exploration import IMAGES, SUMMARY, explore
from training.report import REPORT

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, explore, and log what was written."""
    parser = cli.parser(
        "explore",
        "Look at every image of a data set: classes, samples, sizes, brightness, borders, files, averages. Writes "
        f"OUT/{REPORT} and its figures, OUT/{SUMMARY}, and OUT/{IMAGES}, one row per image.",
    )
    cli.add_data(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="the report's folder")
    parser.add_argument("--seed", type=int, default=0, help="another seed shows other samples (default: 0)")
    args = parser.parse_args(argv)
    if args.seed < 0:
        parser.error(f"--seed must not be negative, not {args.seed}")
    with cli.errors(parser, "the same command starts again from the beginning"):
        data = find(args.data)
        cli.check_folder(args.out)
        explore(data, args.out, args.seed)
        log.info("written: %s, %s, %s", *(args.out / name for name in (REPORT, SUMMARY, IMAGES)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
