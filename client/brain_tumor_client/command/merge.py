"""Make one table of those that the shards of a run have written."""

import argparse
import sys

from brain_tumor_client.command.exit_code import ExitCode, Fault
from brain_tumor_client.command.results import check_format
from brain_tumor_client.command.text import printable
from brain_tumor_client.results.parts import PartsError, merge, tables_of_images
from brain_tumor_client.results.tables import TableError


def run(arguments: argparse.Namespace) -> ExitCode:
    """Merge the tables that the arguments name.

    Raises:
        Fault: They are not the parts of one run, or cannot be read or written.
    """
    out = arguments.out
    if out.exists() and not arguments.restart:
        raise Fault(ExitCode.USAGE, f"There are results in {out} already. Choose another file, or add --restart.")
    try:
        tables = tables_of_images(arguments.tables)
        if out in tables:
            raise Fault(ExitCode.USAGE, f"{out} is one of the parts. Choose another file.")
        for table in (*tables, out):
            check_format(table)
        images, failed = merge(tables, out)
    except (PartsError, TableError) as error:
        raise Fault(ExitCode.USAGE, str(error)) from None
    except OSError as error:
        raise Fault(ExitCode.NOT_WRITTEN, f"The results cannot be written: {error.strerror}.") from None
    print(f"Results: {printable(str(out))}: {images} images, of which {failed} failed", file=sys.stderr)
    return ExitCode.ALL_CLASSIFIED
