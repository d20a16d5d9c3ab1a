"""How far a run is: a line that changes on a terminal, a line now and then elsewhere. On standard error."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from brain_tumor_client.command.text import printable
from brain_tumor_client.results.row import Row

_INTERVAL = 10.0  # seconds between lines where there is no terminal
_MAX_SHOWN = 20  # failures that are shown; the results hold all


class Progress:
    """Counts and shows.

    Attributes:
        classified: Images classified by this run.
        failed: Images that could not be.
    """

    def __init__(self, kept: int) -> None:
        self.classified = 0
        self.failed = 0
        self._kept = kept
        self._start = self._last = time.monotonic()
        self._console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
        self._bar: Bar | None = None
        if self._console.is_terminal:
            columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
            self._bar = Bar(*columns, console=self._console)
            self._task = self._bar.add_task(self._text(), total=None)

    def add(self, row: Row) -> None:
        """Count an image."""
        if row.class_name is None:
            self.failed += 1
            self._show_failure(row)
        else:
            self.classified += 1
        now = time.monotonic()
        if self._bar:
            self._bar.update(self._task, description=self._text())
        elif now - self._last >= _INTERVAL:
            self._last = now
            print(self._text(), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Show the last counts."""
        if self._bar:
            self._bar.stop()
        else:
            print(self._text(), file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _text(self) -> str:
        seconds = max(time.monotonic() - self._start, 1e-3)
        kept = f", {self._kept} from before" if self._kept else ""
        rate = (self.classified + self.failed) / seconds
        return f"{self.classified} classified, {self.failed} failed{kept}, {rate:.1f} images/s"

    def _show_failure(self, row: Row) -> None:
        if self.failed > _MAX_SHOWN:
            return
        text = printable(f"{place_of(row)}: {row.error_detail}")
        if self.failed == _MAX_SHOWN:
            text += "\nFurther failures are not shown here."
        if self._bar:
            self._bar.console.print(text)
        else:
            print(text, file=sys.stderr, flush=True)


def place_of(row: Row) -> str:
    """The file of a row, with plane and slice or frame if it has several."""
    if row.slice is not None:
        return f"{row.path} {row.plane} {row.slice}"
    return row.path if row.frame is None else f"{row.path} frame {row.frame}"
