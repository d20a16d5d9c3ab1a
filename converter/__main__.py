"""The command: python -m converter MODEL OUT --name brain-tumor --version 1."""

import argparse
import io
import logging
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from brain_tumor.contract import MODEL_NAME
from converter import interrupt
from converter.errors import ConversionError, one_line

_FAILED = 1
_INTERRUPTED = 128 + signal.SIGINT  # the status that a shell gives
_DEBUG = "--debug"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if bool(arguments.out) == arguments.describe:
        parser.error("give OUT, or --describe without it")
    try:
        try:
            (_describe if arguments.describe else _convert)(arguments)
        except Exception:
            interrupt.check()
            raise
    except ConversionError as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        _tell("interrupted; nothing was published", sys.__stderr__)
        return _INTERRUPTED
    except MemoryError:
        return _failed(_out_of_memory(arguments.model))
    except Exception as error:  # the last resort: whatever the file is, its owner gets a sentence
        if arguments.debug:
            raise
        if type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's MemoryError
            return _failed(_out_of_memory(arguments.model))
        return _failed(
            f"{arguments.model}: an error that the converter does not know, {type(error).__name__}: {one_line(error)}; "
            f"{_DEBUG} shows where it comes from"
        )
    return 0


def prepare_process() -> None:
    """Set what holds for the process and not for a conversion. Call it before TensorFlow is imported."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # models are served on CPUs, so they are compared on a CPU
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors arrive as exceptions
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may not know every letter of a name
    interrupt.install()


def _out_of_memory(model: Path) -> str:
    return f"{model}: the memory is not enough for this model"


def _failed(message: str) -> int:
    _tell(f"error: {message}", sys.stderr)
    return _FAILED


# What imports TensorFlow is imported late: not for --help, and not before the environment is set.


def _convert(arguments: argparse.Namespace) -> None:
    from converter.convert import Job, convert
    from converter.read.description import default_path

    job = Job(
        model=arguments.model,
        metadata=arguments.metadata or default_path(arguments.model),
        models=arguments.out,
        name=arguments.name,
        version=arguments.version,
        verify_with=arguments.verify_with,
        publish_anyway=arguments.publish_anyway,
        int8=arguments.int8,
    )
    _tell(f"converting {job.model} ...")
    report = convert(job, tell=_tell, warn=lambda sentence: _tell(f"warning: {sentence}", sys.stderr))
    if report.folded:
        _tell(f"folded {report.folded} batch normalizations")
    _tell(
        f"activation maps: {'yes' if report.metadata.explains else 'no, the head is not pooling and one dense layer'}"
    )
    _tell(f"largest difference in probability {report.difference:.1e} over {report.images} images")
    _tell(f"published {job.target}, {report.size / 1e6:.1f} MB, in {report.seconds:.1f} s")


def _describe(arguments: argparse.Namespace) -> None:
    from converter.describe import describe, report
    from converter.read.description import default_path

    path = arguments.metadata or default_path(arguments.model)
    draft = describe(arguments.model, path, arguments.verify_with, _tell)
    for line in report(path, draft):
        _tell(line)


def _tell(line: str, file: TextIO | None = None) -> None:
    """Print one line, whatever the names in a file hold: no character that moves the cursor, or ends the line."""
    print("".join(character if character.isprintable() else "?" for character in line), file=file, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m converter",
        description="Convert a Keras model or a TensorFlow SavedModel to a SavedModel that describes itself, compare "
        "the two on images, and publish it as OUT/NAME/VERSION, complete or not at all.",
    )
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="a .keras or HDF5 file of any suffix, or a SavedModel folder"
    )
    parser.add_argument(
        "out", type=Path, metavar="OUT", nargs="?", help="the models folder; the result is OUT/NAME/VERSION"
    )
    parser.add_argument("--describe", action="store_true", help="convert nothing: write the model's first description")
    parser.add_argument("--name", type=_name, default=MODEL_NAME, help="the served model's name (default: %(default)s)")
    parser.add_argument(
        "--version", type=_version, default=1, help="its version, a number above 0 (default: %(default)s)"
    )
    parser.add_argument(
        "--metadata",
        type=Path,
        metavar="FILE.json",
        help="the model's description (default: MODEL.json or FOLDER.json, beside the model)",
    )
    parser.add_argument(
        "--verify-with",
        type=Path,
        metavar="FOLDER",
        help="compare on the images in this folder, too; where its subfolders are the classes, check the description",
    )
    parser.add_argument(
        "--int8",
        type=Path,
        metavar="IMAGES",
        help="also make an int8 form, calibrated and judged on the labelled images in this folder; where it does too "
        "much harm, nothing is published",
    )
    parser.add_argument(
        "--publish-anyway", action="store_true", help="although labelled images say that the description is wrong"
    )
    parser.add_argument(_DEBUG, action="store_true", help="show the trace of an error that is not known")
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
