"""Reads the command line, runs a subcommand, and turns what went wrong into an exit code and a sentence."""

import logging
import os
import sys
import warnings
from collections.abc import Sequence

from brain_tumor_client.command.arguments import parse
from brain_tumor_client.command.exit_code import ExitCode, Fault
from brain_tumor_client.command.text import printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    # What these libraries log and warn of may hold values of an image's tags.
    for name in ("pydicom", "nibabel", "PIL"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    warnings.simplefilter("ignore")
    parsed = parse(arguments)
    try:
        return int(parsed.run(parsed))
    except Fault as fault:
        print(f"brain-tumor: {printable(str(fault))}", file=sys.stderr)
        return int(fault.code)
    except BrokenPipeError:  # who reads the output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.NOT_WRITTEN)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
