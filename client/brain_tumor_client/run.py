"""A run over many files: what is sent, what becomes of it, and when to stop because the rest would fail too."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from brain_tumor_client.async_client import AsyncClient
from brain_tumor_client.errors import ClientError, KeyRefused, NotTheService, ServiceUnreachable
from brain_tumor_client.ordered import ordered
from brain_tumor_client.results.journal import Journal, Line
from brain_tumor_client.results.overlays import write_overlay
from brain_tumor_client.results.row import classified, failed
from brain_tumor_client.sources.item import Item, Source

_CONCERNS_ALL = (ServiceUnreachable, KeyRefused, NotTheService)  # errors that the next image would meet too
_AWAY = 8  # images in a row that the service was too busy for, each for as long as the client has patience


@dataclass
class Run:
    """One run over many files.

    Attributes:
        client: Sends the images.
        journal: Where its results go, and what earlier runs have done; None if they go nowhere else than to ``report``.
        overlays: The folder for activation maps; None if none are wanted.
        concurrency: How many images are sent at a time.
        report: Gets each line, in the order of the files.
        ranks: The order of the files that were found, which is complete when the run is.
        to_try_again: How many images failed for a reason that may pass.
    """

    client: AsyncClient
    journal: Journal | None
    overlays: Path | None
    concurrency: int
    report: Callable[[Line], None]
    ranks: dict[str, int] = field(default_factory=dict)
    to_try_again: int = 0

    async def classify(self, sources: Iterable[Source]) -> None:
        """Classify all images of these files that no earlier run has classified.

        Raises:
            ServiceUnreachable, KeyRefused, NotTheService, RequestLost, ServiceBusy: All further images would fail too.
            OSError: Results cannot be written.
        """
        in_a_row = 0
        async with aclosing(ordered(self._classify, self._items(sources), self.concurrency)) as outcomes:
            async for line, error in outcomes:
                if self.journal:
                    self.journal.append(line)
                self.report(line)
                temporary = error is not None and error.temporary
                self.to_try_again += temporary
                in_a_row = in_a_row + 1 if temporary else 0
                if error and in_a_row == _AWAY:
                    raise error

    def _items(self, sources: Iterable[Source]) -> Iterator[Item]:
        for source in sources:
            if source.path in self.ranks:  # named twice
                continue
            self.ranks[source.path] = len(self.ranks)
            if self.journal and self.journal.is_complete(source.path):
                continue
            for item in source.items():
                if not self.journal or item.key not in self.journal:
                    yield item

    async def _classify(self, item: Item) -> tuple[Line, ClientError | None]:
        start = time.monotonic()
        try:
            content = await asyncio.to_thread(item.load)
            prediction = await self.client.classify(content, explain=self.overlays is not None, frame=item.frame)
        except _CONCERNS_ALL:
            raise
        except ClientError as error:
            return Line(failed(item, error, time.monotonic() - start), None, item.ordinal, item.count), error
        if self.overlays and prediction.explanation:
            await asyncio.to_thread(write_overlay, self.overlays, item, prediction.explanation.png)
        row = classified(item, prediction, time.monotonic() - start)
        return Line(row, prediction.document, item.ordinal, item.count), None
