"""The client for code that is not asynchronous: the asynchronous one, on an event loop in a thread of its own.

So there is one implementation of requests, retries and bounds.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Generator, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

from brain_tumor_client.async_client import AsyncClient
from brain_tumor_client.errors import ClientError
from brain_tumor_client.images import MAX_BYTES, ImageLike
from brain_tumor_client.prediction import Model, Prediction
from brain_tumor_client.retry import Retry

_CLOSE_ATTEMPTS, _CLOSE_WAIT = 1000, 0.01  # together 10 seconds

Result = TypeVar("Result")


class Client:
    """Calls the service. Use it as a context manager, or call ``close`` at the end. Threads may share it.

    Its arguments and errors are those of ``AsyncClient``.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retry: Retry | None = None,
        max_image_bytes: int = MAX_BYTES,
    ) -> None:
        self._client = AsyncClient(url, api_key=api_key, timeout=timeout, retry=retry, max_image_bytes=max_image_bytes)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="brain-tumor-client", daemon=True)
        self._thread.start()

    def classify(
        self, image: ImageLike, *, explain: bool = False, view: bool = False, frame: int | None = None
    ) -> Prediction:
        """Classify one image; see ``AsyncClient.classify``."""
        return self._run(self._client.classify(image, explain=explain, view=view, frame=frame))

    def classify_many(
        self,
        images: Iterable[ImageLike],
        *,
        explain: bool = False,
        view: bool = False,
        frame: int | None = None,
        concurrency: int = 8,
    ) -> Generator[Prediction | ClientError, None, None]:
        """Classify images as they come, with results in their order; see ``AsyncClient.classify_many``."""
        results = self._client.classify_many(images, explain=explain, view=view, frame=frame, concurrency=concurrency)
        try:
            while True:
                try:
                    result = self._run(_next(results.__anext__()))
                except StopAsyncIteration:
                    return
                yield result
        finally:
            self._run(_close(results))

    def model(self) -> Model:
        """Say which model is served; see ``AsyncClient.model``."""
        return self._run(self._client.model())

    def close(self) -> None:
        """Close the connections, and end the thread. Further calls do nothing."""
        if self._loop.is_closed():
            return
        self._run(self._client.aclose())
        self._run(self._loop.shutdown_asyncgens())  # a response that was left unread may have one
        self._run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, call: Coroutine[Any, Any, Result]) -> Result:
        if self._loop.is_closed():
            call.close()
            raise RuntimeError("This client is closed. Make a new one.")
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return future.result()
        except BaseException:  # an interrupt of the thread that waits, too
            future.cancel()
            raise


async def _next(following: Awaitable[Result]) -> Result:
    return await following


async def _close(results: AsyncGenerator[Any, None]) -> None:
    """Close a generator. After an interrupt its last step may not have ended yet; it has been cancelled."""
    for _ in range(_CLOSE_ATTEMPTS):
        try:
            return await results.aclose()
        except RuntimeError:
            await asyncio.sleep(_CLOSE_WAIT)
