"""``python -m training.data SOURCE``: fetch or make images, or take a folder of them, and write their manifest."""

import sys
from collections.abc import Sequence
from pathlib import Path

from brain_tumor.metadata import PHANTOM
from training import cli
from training.data.data_set import DataSet
from training.data.figshare import FIGSHARE
from training.data.source import add_source, makes_images, ready
from training.layout import SPLITS


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, get the images ready, and print their number and their folder."""
    parser = cli.parser(
        "data",
        "Get a data set ready: fetch it, make it (with the options of python -m training.phantom), or take a folder "
        "that is there. The manifest beside the images names each of them with its class, its split and its SHA-256: "
        "it is written where there is none, and otherwise compared with the images. Where a folder has no test images, "
        "about a fifth of the images is drawn to test on, without parting patients or copies of a file, and the "
        "manifest keeps which. Prints the number of images and, on the last line, their folder.",
    )
    add_source(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER",
        help=f"the folder of images that are made: of the {PHANTOM}, or of figshare's files (default: data/{PHANTOM}, "
        f"data/{FIGSHARE})",
    )  # fmt: skip
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="(default: manifest.json beside the images)")
    parser.add_argument("--check", action="store_true", help="only compare the images with their manifest; write none")
    cli.add_healthy(parser)
    args, rest = parser.parse_known_args(argv)
    if rest and (args.source != PHANTOM or args.check):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if args.healthy and args.check:
        parser.error("--healthy is kept in the manifest, and --check writes none")
    with cli.errors(parser, "the same command goes on"):
        if args.out and not makes_images(args.source):
            parser.error(f"--out is for the {PHANTOM} and figshare's files; KAGGLEHUB_CACHE moves the Kaggle set")
        data = ready(
            args.source,
            out=args.out,
            phantom_options=rest,
            manifest_file=args.manifest,
            only_check=args.check,
            healthy=args.healthy,
        )
    print(_counts(data))
    print(data.folder)
    return 0


def _counts(data: DataSet) -> str:
    """A table of the number of images by class and split."""
    rows: list[tuple[str, int | str, int | str]] = [(data.name, *SPLITS)]
    for name in data.class_names:
        training, testing = (
            sum(data.classes[file] == name for file in files) for files in (data.training, data.testing)
        )
        rows.append((name, training, testing))
    rows.append(("together", len(data.training), len(data.testing)))
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{name:<{width}}  {training:>8}  {testing:>8}" for name, training, testing in rows)


if __name__ == "__main__":
    sys.exit(main())
