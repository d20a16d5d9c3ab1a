"""Where the results of a command go: with ``--out`` a journal and then tables, otherwise standard output."""

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from brain_tumor_client.command.exit_code import ExitCode, Fault
from brain_tumor_client.command.progress import place_of
from brain_tumor_client.command.text import printable
from brain_tumor_client.results import parquet_table
from brain_tumor_client.results.journal import Journal, JournalTaken
from brain_tumor_client.results.row import Row
from brain_tumor_client.results.summary import Summary
from brain_tumor_client.results.tables import read_lines, volumes_path, write_tables

_POLL = 0.5  # seconds


@dataclass(frozen=True)
class Again:
    """What becomes of results that are there already.

    Attributes:
        resume: Add to complete results.
        restart: Throw results away, complete ones and those of a run that was interrupted.
        wait: How many seconds to wait for another process that writes them.
    """

    resume: bool = False
    restart: bool = False
    wait: float = 0.0


class Results:
    """The results of one command.

    Attributes:
        journal: None without ``--out``.
        kept: How many images earlier runs have classified.

    Raises:
        Fault: There are results already, or pyarrow is missing.
        JournalTaken: Another process writes them.
        JournalError, TableError: Those of an earlier run cannot be continued.
        OSError: They cannot be written.
    """

    def __init__(self, out: Path | None, options: Mapping[str, Any], again: Again) -> None:
        self._out = out
        self._summary: Summary | None = None
        self.journal: Journal | None = None
        if out is not None:
            check_format(out)
            self.journal = _journal(out, options, again)
        self.kept = self.journal.images if self.journal else 0

    def show(self, row: Row) -> None:
        """Print a line for an image, and one after the last of a volume, if there is no file for them."""
        if self._out is not None:
            return
        self._show_summary(row.volume)
        if row.volume is not None:
            self._summary = self._summary or Summary(row.volume)
            self._summary.add(row)
        if row.class_name is not None:
            flag = "\tunlike the training images" if row.ood_flag else ""
            print(f"{printable(place_of(row))}\t{row.class_name}\t{row.probabilities[row.class_name]:.4f}{flag}")

    def finish(self, ranks: Mapping[str, int]) -> None:
        """Write the tables, and remove the journal: the results are complete."""
        self._show_summary(None)
        sys.stdout.flush()
        if self.journal and self._out is not None:
            write_tables(self._out, self.journal, ranks)
            if len(self.journal.models) > 1:
                print("Several versions of the model made these results: see model_version.", file=sys.stderr)
            self.journal.remove()
            has_volumes = volumes_path(self._out).exists()
            beside = f" and {printable(str(volumes_path(self._out)))}" if has_volumes else ""
            print(f"Results: {printable(str(self._out))}{beside}", file=sys.stderr)

    def how_to_go_on(self) -> str:
        """What to do after a stop; nothing if nothing is kept."""
        if not self.journal or not self.journal.images:
            return ""
        return f"{self.journal.images} results are kept in {self.journal.path}: run the same command again to go on."

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.journal:
            if not self.journal.images:
                self.journal.remove()
            self.journal.close()

    def _show_summary(self, next_volume: str | None) -> None:
        summary = self._summary
        if summary and summary.volume != next_volume:
            counts = ", ".join(f"{count} {name}" for name, count in summary.counts.most_common())
            best = summary.most_certain
            certain = f"; most certain: {place_of(best)}" if best else ""
            print(printable(f"{summary.volume}: {summary.images} images: {counts}{certain}"))
            self._summary = None


def check_format(table: Path) -> None:
    """Check that what reads and writes such tables is installed.

    Raises:
        Fault: It is not.
    """
    if table.suffix == ".parquet" and not parquet_table.is_available():
        raise Fault(ExitCode.USAGE, "Parquet needs pyarrow: pip install './client[parquet]', or choose .csv.")


def _journal(out: Path, options: Mapping[str, Any], again: Again) -> Journal:
    deadline = time.monotonic() + again.wait
    said = False
    while True:
        try:
            return _begun(out, options, again)
        except JournalTaken:
            if time.monotonic() >= deadline:
                raise
            if not said:
                print("Another command writes these results: waiting for it.", file=sys.stderr, flush=True)
                said = True
            time.sleep(_POLL)


def _begun(out: Path, options: Mapping[str, Any], again: Again) -> Journal:
    path = out.with_name(f"{out.name}.journal")
    journal = Journal(path, options, anew=again.restart)
    if again.restart or journal.images or not out.exists():
        return journal
    with journal:  # nobody else begins meanwhile
        if not again.resume:
            journal.remove()
            raise Fault(
                ExitCode.USAGE,
                f"There are results in {out} already. Choose another file, add to them with --resume, "
                "or replace them with --restart.",
            )
        scratch = path.with_name(f".{os.getpid()}.{path.name}")
        try:
            with Journal(scratch, options, anew=True) as complete:
                for line in read_lines(out):
                    complete.append(line)
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
    return Journal(path, options)
