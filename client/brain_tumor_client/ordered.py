"""Many calls at once, a bounded number, with results in the order of what came in."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import TypeVar

_AHEAD = 4  # calls begun or waiting for each that runs: one that waits for a busy service does not hold up the others
_END = object()

Item = TypeVar("Item")
Result = TypeVar("Result")


async def ordered(
    function: Callable[[Item], Awaitable[Result]], items: Iterable[Item], concurrency: int
) -> AsyncGenerator[Result, None]:
    """Call ``function`` for each item, and give the results in the order of the items.

    Items are taken only as needed, one after the other, in threads: an iterable may read from a disk. Whoever stops
    early closes the generator, and the calls under way are cancelled.

    Args:
        concurrency: How many calls run at a time; four times as many results wait for an earlier one.

    Raises:
        Exception: What the function or the iterable raises; the other calls are cancelled.
    """
    places = asyncio.Semaphore(concurrency)

    async def call(item: Item) -> Result:
        async with places:
            return await function(item)

    iterator = iter(items)
    calls: deque[asyncio.Task[Result]] = deque()
    exhausted = False
    try:
        while True:
            while not exhausted and len(calls) < _AHEAD * concurrency:
                item = await asyncio.to_thread(next, iterator, _END)
                if item is _END:
                    exhausted = True
                else:
                    calls.append(asyncio.create_task(call(item)))  # type: ignore[arg-type]
                if calls and calls[0].done():
                    break
            if not calls:
                return
            result = await calls[0]
            calls.popleft()
            yield result
    finally:
        for task in calls:
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
