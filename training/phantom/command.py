"""The options of a phantom, for ``python -m training.phantom`` and for ``python -m training.data phantom``."""

import argparse
from collections.abc import Sequence

from portable_model_server.engines.cpu import cpu_limit
from training.phantom.dataset import Plan

_PATIENTS = (3600, 600)  # of Training and of Testing


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which phantom is made."""
    parser.add_argument(
        "--patients", type=int, nargs=2, default=_PATIENTS, metavar=("TRAINING", "TESTING"),
        help="synthetic patients of each split, multiples of 12, two images each "
        f"(default: {' '.join(map(str, _PATIENTS))})",
    )  # fmt: skip
    parser.add_argument("--size", type=int, default=192, help="pixels a side (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other patients (default: %(default)s)")
    parser.add_argument("--masks", action="store_true", help="also write each tumour's mask, under OUT/Masks")
    parser.add_argument(
        "--workers",
        type=int,
        default=cpu_limit(),
        help="processes; the images do not depend on it (default: one per core)",
    )


def plan_of(parser: argparse.ArgumentParser, args: argparse.Namespace) -> Plan:
    """The plan that the options describe.

    Raises:
        PhantomError: The options do not fit a phantom.
    """
    if args.workers < 1:
        parser.error("--workers must be 1 or more")
    return Plan(args.patients[0], args.patients[1], seed=args.seed, size=args.size, masks=args.masks)


def parse_options(options: Sequence[str]) -> tuple[Plan, int]:
    """Parse the options alone: the plan, and the number of processes."""
    parser = argparse.ArgumentParser(prog="python -m training.data phantom")
    add_options(parser)
    args = parser.parse_args(options)
    return plan_of(parser, args), args.workers
