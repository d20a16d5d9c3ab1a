"""``python -m training.audit DATA OUT``: copies, contradictory labels and shortcuts in a data set."""

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training import cli
from training.audit.audit import AUDIT, audit
from training.data.data_set import find
from training.data.groups import GROUPS_FILE
from training.layout import TESTING
from training.report import REPORT

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, audit, and log the main results."""
    parser = cli.parser(
        "audit",
        "Find copies, exact and near, within and across Training and Testing; labels that contradict each other; and "
        "properties of the images that reveal the class without the anatomy. Writes OUT/groups.json, which training "
        f"and evaluation take, and OUT/{REPORT}.",
    )
    cli.add_data(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="the audit's folder")
    args = parser.parse_args(argv)
    with cli.errors(parser, "the same command starts again from the beginning"):
        data = find(args.data)
        cli.check_folder(args.out)
        audit(data, args.out)
        result = json.loads((args.out / AUDIT).read_text(encoding="utf-8"))
        seen = sum(counts["seen"] for counts in result[TESTING].values())
        log.info("%d clusters of copies, %d superfluous images", len(result["clusters"]), result["superfluous"])
        log.info("%d of %d test images have a copy in Training", seen, len(data.testing))
        log.info("%d clusters have labels that contradict each other", len(result["contradictory"]))
        for shortcut in result["shortcuts"]:
            percent = (100 * shortcut["balanced_accuracy"], 100 * shortcut["chance"])
            log.info("by %s: %.1f %% balanced accuracy (chance: %.1f %%)", shortcut["sees"], *percent)
        log.info("written: %s, %s", args.out / GROUPS_FILE, args.out / REPORT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
