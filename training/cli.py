"""What the commands share: their parsers, their common arguments, and how they end."""

import argparse
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.errors import TrainingError


class OutputError(TrainingError):
    """A result cannot be written to its folder; the message says why."""


def parser(command: str, description: str) -> argparse.ArgumentParser:
    """A parser whose messages name the command as the user calls it."""
    return argparse.ArgumentParser(prog=f"python -m training.{command}", description=description)


def add_data(command: argparse.ArgumentParser) -> None:
    """Add DATA, a folder of images."""
    command.add_argument(
        "data", type=Path, metavar="DATA",
        help="holds Training/CLASS/IMAGE and Testing/CLASS/IMAGE, or CLASS/IMAGE: what python -m training.data takes",
    )  # fmt: skip


def add_healthy(command: argparse.ArgumentParser) -> None:
    """Add ``--healthy``, which ``training.data.data_set.find`` takes."""
    command.add_argument(
        "--healthy", metavar="CLASS",
        help="the class without tumour, for tumours missed (default: the one that the manifest or the run names, or "
        "with a usual name, such as notumor, no_tumor, no, healthy or normal)",
    )  # fmt: skip


def add_groups(command: argparse.ArgumentParser) -> None:
    """Add ``--groups``, which ``training.data.groups.load_or_by_patient`` takes."""
    command.add_argument(
        "--groups", type=Path, metavar="FILE",
        help="groups.json of python -m training.audit (default: patients, where a manifest names them)",
    )  # fmt: skip


def check_folder(folder: Path) -> None:
    """Make sure, before the long work, that results can be written to a folder; it is made if it is missing.

    Raises:
        OutputError: ``folder`` cannot be made or written to.
    """
    probe = folder / f".{os.getpid()}.probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from None


@contextmanager
def errors(command: argparse.ArgumentParser, interrupted: str) -> Iterator[None]:
    """End the program with a message: status 1 for an error that the user can mend, status 130 for Ctrl-C.

    Args:
        command: The command's parser, which names it.
        interrupted: What remains after Ctrl-C and how to continue, for the message.
    """
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    try:
        yield
    except TrainingError as error:
        command.exit(1, f"{command.prog}: {error}\n")
    except OSError as error:  # the disk is full, or gone
        command.exit(1, f"{command.prog}: {error.filename or 'a file'}: {error.strerror or error}; {interrupted}\n")
    except KeyboardInterrupt:
        command.exit(130, f"\n{command.prog}: stopped; {interrupted}\n")
