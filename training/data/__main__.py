"""``python -m training.data SOURCE``: fetch or make images, or take a folder of them, and write their manifest."""

import sys
from collections.abc import Sequence
from pathlib import Path

from brain_tumor.metadata import PHANTOM
from training import cli
from training.data.data_set import DataSet
from training.data.source import add_source, ready
from training.layout import SPLITS


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, get the images ready, and print their number and their folder."""
    parser = cli.parser(
        "data",
        "Get a data set ready: fetch it, make it (with the options of python -m training.phantom), or take a folder "
        "that is there. The manifest beside the images names each of them with its SHA-256: it is written where there "
        "is none, and otherwise compared with the images. Prints the number of images and, on the last line, their "
        "folder.",
    )
    add_source(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=f"the phantom's folder (default: data/{PHANTOM})")
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="(default: manifest.json beside the images)")
    parser.add_argument("--check", action="store_true", help="only compare the images with their manifest; write none")
    args, rest = parser.parse_known_args(argv)
    if rest and (args.source != PHANTOM or args.check):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if args.source != PHANTOM and args.out:
        parser.error(f"--out is for the {PHANTOM}; KAGGLEHUB_CACHE moves the Kaggle set")
    with cli.errors(parser, "the same command goes on"):
        data = ready(
            args.source, out=args.out, phantom_options=rest, manifest_file=args.manifest, only_check=args.check
        )
    print(_counts(data))
    print(data.folder)
    return 0


def _counts(data: DataSet) -> str:
    """A table of the number of images by class and split."""
    rows: list[tuple[str, int | str, int | str]] = [(data.name, *SPLITS)]
    for name in data.class_names:
        training, testing = (sum(f"/{name}/" in file for file in files) for files in (data.training, data.testing))
        rows.append((name, training, testing))
    rows.append(("together", len(data.training), len(data.testing)))
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{name:<{width}}  {training:>8}  {testing:>8}" for name, training, testing in rows)


if __name__ == "__main__":
    sys.exit(main())
