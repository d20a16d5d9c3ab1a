"""The command: python -m converter MODEL.keras OUT --name brain-tumor --version 1."""

import argparse
import logging
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from brain_tumor.contract import MODEL_NAME
from converter.errors import ConversionError

_FAILED = 1
_INTERRUPTED = 128 + signal.SIGINT  # the status that a shell gives


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        _convert(arguments)
    except ConversionError as error:
        print(f"error: {error}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        print("interrupted; nothing was published", file=sys.stderr)
        return _INTERRUPTED
    return 0


def prepare_process() -> None:
    """Set what holds for the process and not for a conversion. Call it before TensorFlow is imported."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # models are served on CPUs, so they are compared on a CPU
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors arrive as exceptions
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM cleans up as Ctrl-C does


def _convert(arguments: argparse.Namespace) -> None:
    from converter.convert import (
        Job,
        convert,
    )  # imports TensorFlow: not for --help, and not before the environment is set

    job = Job(
        model=arguments.model,
        metadata=arguments.metadata or arguments.model.with_suffix(".json"),
        models=arguments.out,
        name=arguments.name,
        version=arguments.version,
        keep_variables=arguments.keep_variables,
        verify_with=arguments.verify_with,
    )
    print(f"converting {job.model} ...", flush=True)
    report = convert(job)
    if report.scaling_assumed:
        print(
            f'warning: {job.metadata} has no "scaling", and the model has none inside; is it "none"?', file=sys.stderr
        )
    for field in report.unknown_fields:
        print(f"warning: {job.metadata}: {field} is no field of model metadata and was ignored", file=sys.stderr)
    print(f"folded {report.folded} batch normalizations")
    print(
        f"activation maps: {'yes' if report.metadata.explains else 'no, the head is not pooling and one dense layer'}"
    )
    print(f"largest difference in probability {report.difference:.1e} over {report.images} images")
    print(f"published {job.target}, {report.size / 1e6:.1f} MB, in {report.seconds:.1f} s")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m converter",
        description="Convert a Keras model to a SavedModel that describes itself, compare the two on images, and "
        "publish it as OUT/NAME/VERSION, complete or not at all.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL.keras", help="the Keras model")
    parser.add_argument("out", type=Path, metavar="OUT", help="the models folder; the result is OUT/NAME/VERSION")
    parser.add_argument("--name", type=_name, default=MODEL_NAME, help="the served model's name (default: %(default)s)")
    parser.add_argument(
        "--version", type=_version, default=1, help="its version, a number above 0 (default: %(default)s)"
    )
    parser.add_argument(
        "--metadata", type=Path, metavar="FILE.json", help="the model's description (default: MODEL.json)"
    )
    parser.add_argument("--keep-variables", action="store_true", help="less memory when loaded, a little slower")
    parser.add_argument("--verify-with", type=Path, metavar="FOLDER", help="compare on the images in this folder, too")
    return parser


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", text):
        raise argparse.ArgumentTypeError("letters, digits, '.', '_' and '-' only, a letter or digit first")
    return text


def _version(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) < 2**63:
        raise argparse.ArgumentTypeError("a whole number above 0")
    return int(text)


if __name__ == "__main__":
    prepare_process()
    sys.exit(main())
