"""``python -m training.data SOURCE``: fetch or make images, or take a folder of them, and write their manifest."""

import sys
from collections.abc import Sequence
from pathlib import Path

from brain_tumor.metadata import PHANTOM
from training import cli
from training.data import DataSet, layout
from training.data.source import add_source, ready


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, get the images, hold them to their manifest, and say where they lie."""
    parser = cli.parser(
        "data",
        "Get a data set ready: fetch it, make it (with the options of python -m training.phantom), or take a folder "
        "that is there. Its manifest, written where there is none, names every image with its SHA-256; where there "
        "is one, the images must fit it. Prints the number of images and, on the last line, their folder.",
    )
    add_source(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=f"of the phantom (default: data/{PHANTOM})")
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="(default: manifest.json beside the images)")
    parser.add_argument("--check", action="store_true", help="only hold the images to their manifest, write none")
    args, rest = parser.parse_known_args(argv)
    if rest and (args.source != PHANTOM or args.check):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if args.source != PHANTOM and args.out:
        parser.error(f"--out is of the {PHANTOM}; KAGGLEHUB_CACHE moves the Kaggle set")
    with cli.errors(parser, "the same command goes on"):
        found = ready(
            args.source, out=args.out, phantom_options=rest, manifest_file=args.manifest, only_check=args.check
        )
    print(_counts(found))
    print(found.folder)
    return 0


def _counts(found: DataSet) -> str:
    """How many images there are, by class and split."""
    rows: list[tuple[str, int | str, int | str]] = [(found.name, *layout.SPLITS)]
    for name in found.class_names:
        counts = [sum(f"/{name}/" in file for file in files) for files in (found.training, found.testing)]
        rows.append((name, counts[0], counts[1]))
    rows.append(("together", len(found.training), len(found.testing)))
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{first:<{width}}  {second:>8}  {third:>8}" for first, second, third in rows)


if __name__ == "__main__":
    sys.exit(main())
