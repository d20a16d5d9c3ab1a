"""``python -m training.audit DATA OUT``: copies, contradictory labels and shortcuts in a data set."""

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training import cli, data
from training.audit import AUDIT, audit
from training.data.groups import GROUPS_FILE

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, audit, and say what was found."""
    parser = cli.parser(
        "audit",
        "Find copies, exact and near, within and across Training and Testing, labels that contradict, and what gives "
        "the classes away. Writes OUT/groups.json, which training and evaluation take, and OUT/report.html.",
    )
    cli.add_data(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="the audit's folder")
    args = parser.parse_args(argv)
    with cli.errors(parser, "the same command begins anew"):
        found = data.find(args.data)
        cli.check_folder(args.out)
        audit(found, args.out)
        document = json.loads((args.out / AUDIT).read_text(encoding="utf-8"))
        seen = sum(each["seen"] for each in document[data.TESTING].values())
        log.info("%d clusters of copies, %d images too many", len(document["clusters"]), document["superfluous"])
        log.info("%d of %d test images have a copy in Training", seen, len(found.testing))
        log.info("%d clusters have labels that contradict", len(document["contradictory"]))
        for shortcut in document["shortcuts"]:
            percent = (100 * shortcut["balanced_accuracy"], 100 * shortcut["chance"])
            log.info("by %s: %.1f %% balanced accuracy (chance: %.1f %%)", shortcut["sees"], *percent)
        log.info("written: %s, %s", args.out / GROUPS_FILE, args.out / "report.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
