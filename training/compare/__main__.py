"""``python -m training.compare DATA OUT``: which network, by accuracy against cost."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training import cli
from training.compare.plan import add_plan, read_plan
from training.data.data_set import find
from training.data.groups import load_or_by_patient
from training.report import REPORT

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, compare, and print the table."""
    parser = cli.parser(
        "compare", "Train several networks by several seeds, and set their accuracy on validation against their cost."
    )
    cli.add_data(parser)
    cli.add_groups(parser)
    cli.add_healthy(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="the comparison's folder")
    add_plan(parser)
    args = parser.parse_args(argv)
    with cli.errors(parser, "the same command goes on from here"):
        plan = read_plan(parser, args)
        from training.compare.comparison import compare  # imports TensorFlow, for which --help should not wait

        data_set = find(args.data, args.healthy)
        groups = load_or_by_patient(args.groups, data_set)
        cli.check_folder(args.out)
        document = compare(data_set, groups, plan, args.out)
        for row in document["rows"]:
            mean = sum(row["accuracies"]) / len(row["accuracies"])
            percent = [100 * value for value in (mean, row["low"], row["high"])]
            log.info("%-20s %5.1f %% (%.1f to %.1f)  %8.1f ms", row["model"], *percent, row["milliseconds"])
        log.info("proposed: %s; written: %s", document["selected"]["model"], args.out / REPORT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
