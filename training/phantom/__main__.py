"""``python -m training.phantom OUT``: make the synthetic MRI data set."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from training.phantom.dataset import DatasetError, Plan, write
from training.workers import cores


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, write the data set, and say what was written."""
    parser = argparse.ArgumentParser(prog="python -m training.phantom", description="Make the synthetic MRI data set.")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to make; one that exists must be empty")
    parser.add_argument(
        "--patients", type=int, nargs=2, default=(3600, 600), metavar=("TRAINING", "TESTING"),
        help="synthetic patients of each split, multiples of 12, two images each (default: 3600 600)",
    )  # fmt: skip
    parser.add_argument("--size", type=int, default=192, help="pixels a side (default: 192)")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other patients (default: 0)")
    parser.add_argument("--masks", action="store_true", help="write each tumour's mask, too, under OUT/Masks")
    parser.add_argument(
        "--workers",
        type=int,
        default=cores(),
        help="processes; the images do not depend on it (default: one a core)",
    )
    args = parser.parse_args(argv)
    if args.workers < 1:
        parser.error("--workers must be 1 or more")
    try:
        plan = Plan(args.patients[0], args.patients[1], seed=args.seed, size=args.size, masks=args.masks)
        count = write(plan, args.out, args.workers)
    except DatasetError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"\n{parser.prog}: stopped, nothing written\n")
    print(f"{count} images written to {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
