"""Classify images, DICOM files, NIfTI volumes, and folders of them.

A run that was interrupted goes on when the same command is given again.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brain_tumor_client.command.exit_code import ExitCode, Fault
from brain_tumor_client.command.progress import Progress
from brain_tumor_client.command.results import Again, Results
from brain_tumor_client.command.service import QUICK, client_of, fault_of
from brain_tumor_client.command.text import printable
from brain_tumor_client.errors import ClientError, KeyRefused, ServiceUnreachable
from brain_tumor_client.results.journal import JournalError, JournalTaken, Line
from brain_tumor_client.results.tables import TableError
from brain_tumor_client.run import Run
from brain_tumor_client.sources import bucket
from brain_tumor_client.sources.bucket import Prefix
from brain_tumor_client.sources.find import Found, How, sources
from brain_tumor_client.sources.slices import PLANES, Slices


def run(arguments: argparse.Namespace) -> ExitCode:
    """Classify what the arguments name.

    Raises:
        Fault: It cannot begin, or stops before the end.
    """
    for path in arguments.paths:
        if isinstance(path, Prefix):
            if not bucket.is_available():
                raise Fault(ExitCode.USAGE, "Buckets need boto3: pip install './client[s3]'.")
        elif not path.exists():
            raise Fault(ExitCode.USAGE, f"There is no file or folder {path}.")
    again = Again(arguments.resume, arguments.restart, arguments.wait)
    try:
        with Results(arguments.out, _options(arguments), again) as results:
            return _run(arguments, results)
    except JournalTaken as error:
        raise Fault(ExitCode.TAKEN, str(error)) from None
    except (JournalError, TableError) as error:
        raise Fault(ExitCode.USAGE, str(error)) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Fault(ExitCode.NOT_WRITTEN, f"The results cannot be written: {error.strerror}.") from None


def _run(arguments: argparse.Namespace, results: Results) -> ExitCode:
    found = Found()
    signals: list[int] = []
    notices: dict[str, None] = {}
    with Progress(results.kept) as progress:

        def report(line: Line) -> None:
            progress.add(line.row)
            if line.response is not None:
                notices[str(line.response["notice"])] = None
            results.show(line.row)

        of_run = Run(client_of(arguments), results.journal, arguments.overlays, arguments.concurrency, report)
        how = _how(arguments)
        try:
            asyncio.run(_interruptible(_classify(of_run, arguments.paths, how, found), signals))
        except ClientError as error:
            fault = fault_of(error)
            raise Fault(fault.code, f"{fault} {results.how_to_go_on()}".rstrip()) from None
        except (asyncio.CancelledError, KeyboardInterrupt):
            code = ExitCode.TERMINATED if signal.SIGTERM in signals else ExitCode.INTERRUPTED
            raise Fault(code, f"Interrupted. {results.how_to_go_on()}".rstrip()) from None
    _tell(found)
    if not of_run.ranks and arguments.shard == (0, 1):
        raise Fault(ExitCode.USAGE, "There are no images here. The documents of the client list what it reads.")
    results.finish(of_run.ranks)
    for notice in notices:
        print(printable(notice), file=sys.stderr)
    failed = of_run.to_try_again if arguments.allow_refused else progress.failed
    return ExitCode.SOME_FAILED if failed else ExitCode.ALL_CLASSIFIED


async def _classify(of_run: Run, places: list[Path | Prefix], how: How, found: Found) -> None:
    async with of_run.client as client:
        try:
            await client.model(retry=QUICK)
        except ClientError as error:
            # The way to the model may be closed to this key, or the model away for now: the first image will show.
            if isinstance(error, ServiceUnreachable) or (isinstance(error, KeyRefused) and error.problem.status == 401):
                raise
        await of_run.classify(sources(places, how, found))


async def _interruptible(work: Any, signals: list[int]) -> None:
    """Do the work, and cancel it at a signal that ends processes; the signal's number is added to ``signals``."""
    task = asyncio.ensure_future(work)

    def cancel(number: int) -> None:
        signals.append(number)
        task.cancel()

    with _handlers(cancel):
        await task


@contextlib.contextmanager
def _handlers(cancel: Any) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        for number in numbers:
            loop.add_signal_handler(number, cancel, number)
    except NotImplementedError:  # Windows, where Ctrl-C raises KeyboardInterrupt
        yield
        return
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _how(arguments: argparse.Namespace) -> How:
    planes = arguments.plane or ["axial"]
    chosen = PLANES if "all" in planes else tuple(plane for plane in PLANES if plane in planes)
    slices = Slices(chosen, arguments.slice_step, arguments.min_head)
    return How(slices, every_frame=arguments.every_frame, shard=arguments.shard)


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What must be the same when a run goes on, by the names of the command line."""
    how = _how(arguments)
    return {
        "--plane": list(how.slices.planes),
        "--slice-step": how.slices.step,
        "--min-head": how.slices.min_head,
        "--every-frame": how.every_frame,
        "--shard": list(how.shard),
        "--overlays": arguments.overlays is not None,
    }


def _tell(found: Found) -> None:
    if found.others:
        print(f"{found.others} other files were passed over.", file=sys.stderr)
    if found.unreadable_folders:
        print(f"{found.unreadable_folders} folders cannot be read and were passed over.", file=sys.stderr)
