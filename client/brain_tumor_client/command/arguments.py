"""The command line."""

import argparse
import importlib.metadata
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from brain_tumor_client.command import classify, fetch_model, merge, model
from brain_tumor_client.results.tables import SUFFIXES
from brain_tumor_client.sources.bucket import SCHEME, Prefix
from brain_tumor_client.sources.slices import PLANES

_URL = "http://127.0.0.1:9696"  # where make run serves
_MAX_CONCURRENCY = 256


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments; those that are wrong end the process with exit code 2.

    The result holds the function of the subcommand as ``run``.
    """
    parser = argparse.ArgumentParser(
        prog="brain-tumor", description="Classifies brain MRI images with a service. For research only."
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    service = _service_options()
    of_classify = commands.add_parser(
        "classify", parents=[service], help="classify files and folders", description=classify.__doc__
    )
    of_classify.set_defaults(run=classify.run)
    _add_classify_options(of_classify)
    of_merge = commands.add_parser(
        "merge", help="make one table of the parts that shards have written", description=merge.__doc__
    )
    of_merge.set_defaults(run=merge.run)
    of_merge.add_argument(
        "tables", nargs="+", type=Path, metavar="TABLE", help="results of brain-tumor classify, or a folder of them"
    )
    of_merge.add_argument("--restart", action="store_true", help="replace results that are there")
    of_merge.add_argument("--out", type=_table, required=True, metavar="FILE", help="a new file, in any of the formats")
    of_model = commands.add_parser("model", parents=[service], help="say which model is served")
    of_model.set_defaults(run=model.run)
    of_fetch = commands.add_parser(
        "fetch-model", help="bring a model to a model server, in a pod", description=fetch_model.__doc__
    )
    of_fetch.set_defaults(run=fetch_model.run)
    _add_fetch_options(of_fetch)
    return parser.parse_args(arguments)


def _version() -> str:
    try:
        return importlib.metadata.version("brain-tumor-client")
    except importlib.metadata.PackageNotFoundError:  # run from its sources
        return "not installed"


def _service_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    group = options.add_argument_group("service")
    environment = os.environ
    group.add_argument(
        "--url",
        default=environment.get("BRAIN_TUMOR_URL", _URL),
        help=f"where the service is (default: BRAIN_TUMOR_URL, or {_URL})",
    )
    group.add_argument(
        "--api-key",
        default=environment.get("BRAIN_TUMOR_API_KEY") or None,
        metavar="KEY",
        help="better given in BRAIN_TUMOR_API_KEY: others on this machine can read a command line",
    )
    group.add_argument(
        "--timeout", type=_number(0.1, 3600), default=30.0, metavar="SECONDS", help="for one attempt (default: 30)"
    )
    group.add_argument(
        "--attempts", type=_whole(1, 1000), default=8, metavar="N", help="how often an image is sent (default: 8)"
    )
    group.add_argument(
        "--patience",
        type=_number(0, 86400),
        default=120.0,
        metavar="SECONDS",
        help="how long to try again for one image (default: 120)",
    )
    return options


def _add_classify_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "paths",
        nargs="+",
        type=_place,
        metavar="PATH",
        help="images, DICOM files, NIfTI volumes, and folders of them, or s3://BUCKET/FOLDER",
    )
    add("--out", type=_table, metavar="FILE", help=f"results, by suffix: {', '.join(SUFFIXES)} (default: print them)")
    add("--overlays", type=Path, metavar="FOLDER", help="write activation maps as PNG files into this folder")
    add("--concurrency", type=_whole(1, _MAX_CONCURRENCY), default=8, metavar="N", help="images at a time (default: 8)")
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--resume",
        action="store_true",
        help="add to complete results: send only what failed or is new (an interrupted run goes on without this)",
    )
    again.add_argument("--restart", action="store_true", help="begin anew, and replace results that are there")
    add(
        "--wait",
        type=_number(0, 3600),
        default=0.0,
        metavar="SECONDS",
        help="how long to wait while another command writes the same results (default: 0)",
    )
    add(
        "--allow-refused",
        action="store_true",
        help="exit with 0 also if files are no images, or damaged: the results say which",
    )
    group = parser.add_argument_group("volumes, and DICOM files with several frames")
    group.add_argument(
        "--plane",
        action="append",
        choices=[*PLANES, "all"],
        help="of the slices of a volume; repeat it for several (default: axial)",
    )
    group.add_argument(
        "--slice-step", type=_whole(1, 4096), default=1, metavar="N", help="every how many slices (default: 1)"
    )
    group.add_argument(
        "--min-head",
        type=_number(0, 1),
        default=0.25,
        metavar="SHARE",
        help="least area of head, as a share of that of the slice with most; 0 takes all slices (default: 0.25)",
    )
    group.add_argument(
        "--every-frame", action="store_true", help="classify each frame or page, and not only one of a file"
    )
    group.add_argument(
        "--shard",
        type=_shard,
        default=(0, 1),
        metavar="I/N",
        help="only the I-th (from 0) of N parts of the files; DICOM files of one folder stay together",
    )


def _add_fetch_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "archive",
        nargs="?",
        default=os.environ.get("MODEL_URL", ""),
        metavar="URL",
        help="a tar archive of a version folder, with or without gzip: s3://BUCKET/KEY, gs://BUCKET/OBJECT or "
        "https://... (default: MODEL_URL, since others can read a command line)",
    )
    add("--sha256", type=_sha256, required=True, metavar="HEX", help="the archive's checksum, as sha256sum prints it")
    add("--out", type=Path, required=True, metavar="FOLDER", help="the version folder, named by its number")
    add(
        "--max-bytes",
        type=_whole(1, 2**40),
        default=2 * 2**30,
        metavar="N",
        help="of the archive, and of all files in it (default: 2147483648)",
    )
    add(
        "--timeout",
        type=_number(0.1, 86400),
        default=600.0,
        metavar="SECONDS",
        help="for everything together (default: 600)",
    )


def _sha256(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise argparse.ArgumentTypeError("must be 64 hexadecimal digits, as sha256sum prints them for the archive")
    return text.lower()


def _whole(least: int, most: int) -> Callable[[str], int]:
    def check(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}")
        return int(text)

    return check


def _number(least: float, most: float) -> Callable[[str], float]:
    def check(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be a number from {least:g} to {most:g}")
        return value

    return check


def _place(text: str) -> Path | Prefix:
    try:
        return Prefix.of(text) if text.startswith(SCHEME) else Path(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _table(text: str) -> Path:
    path = Path(text)
    if path.suffix not in SUFFIXES:
        raise argparse.ArgumentTypeError(f"the name must end in one of {', '.join(SUFFIXES)}")
    return path


def _shard(text: str) -> tuple[int, int]:
    index, slash, count = text.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise argparse.ArgumentTypeError("must be I/N with whole numbers, I from 0 and smaller than N")
    return int(index), int(count)
