"""``python -m training.phantom OUT``: make the synthetic MRI data set."""

import sys
from collections.abc import Sequence
from pathlib import Path

from training import cli
from training.phantom import command, dataset


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, write the data set, and print what was written."""
    parser = cli.parser("phantom", "Make the synthetic MRI data set.")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to make; one that exists must be empty")
    command.add_options(parser)
    args = parser.parse_args(argv)
    with cli.errors(parser, "nothing written"):
        plan = command.plan_of(parser, args)
        count = dataset.write(plan, args.out, args.workers)
    print(f"{count} images written to {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
