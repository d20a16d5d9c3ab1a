"""The client for asynchronous code; ``Client`` is the same for other code."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from brain_tumor_client.errors import (
    ClientError,
    NotTheService,
    RequestLost,
    ServiceUnreachable,
)
from brain_tumor_client.images import MAX_BYTES, ImageLike, image_bytes, media_type_of
from brain_tumor_client.ordered import ordered
from brain_tumor_client.prediction import Model, Prediction, prediction_of
from brain_tumor_client.responses import Response, check, retry_after_of
from brain_tumor_client.retry import Retry

_MAX_RESPONSE = 16 * 1024 * 1024  # bytes; an overlay has 512 pixels on its longer side, so some hundred kilobytes
_KEPT_CONNECTIONS = 32
# Bodies are not compressed, so that their limit counts for what comes out too.
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "brain-tumor-client"}


class AsyncClient:
    """Calls the service. Use it as an asynchronous context manager, or call ``aclose`` at the end.

    Args:
        url: Where the service is: ``https://host``, with a port and a path if it has them.
        api_key: Sent as ``Authorization: Bearer``.
        timeout: Seconds for one attempt, from the connection to the last byte of the response.
        retry: When to send a request again.
        max_image_bytes: Larger images are not sent.
        transport: Another transport of httpx, for tests and special networks.

    Raises:
        ValueError: The URL is no such URL, or the key cannot be in a header.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retry: Retry | None = None,
        max_image_bytes: int = MAX_BYTES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = service_url(url)
        self._timeout = timeout
        self._retry = retry or Retry()
        self._max_image_bytes = max_image_bytes
        self._http = httpx.AsyncClient(
            headers=_HEADERS | _authorization(api_key),
            timeout=timeout,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=_KEPT_CONNECTIONS),
            transport=transport,
        )

    async def classify(
        self, image: ImageLike, *, explain: bool = False, view: bool = False, frame: int | None = None
    ) -> Prediction:
        """Classify one image.

        Args:
            image: Bytes of a file, its path, or an array: uint8 (height, width[, 3]) or uint16 (height, width).
            explain: Also return the activation map over the image.
            view: Also return the image as the model saw it.
            frame: Which frame of a multi-frame DICOM file, from 1; the middle one if None.

        Raises:
            ImageUnusable: It was not sent, because it cannot be.
            ImageRefused: The service cannot classify it.
            KeyRefused: The service wants another API key.
            ServiceBusy, ServiceFault, RequestLost, ServiceUnreachable: After all attempts.
            NotTheService: Something else responds at this URL.
        """
        limit = self._max_image_bytes
        # Reading a file and writing a PNG file take time; bytes are there already.
        content = (
            image_bytes(image, limit)
            if isinstance(image, bytes)
            else await asyncio.to_thread(image_bytes, image, limit)
        )
        options = {"explain": "true" if explain else None, "view": "true" if view else None, "frame": frame}
        response = await self._exchange(
            "POST",
            "/predict",
            params={name: str(value) for name, value in options.items() if value is not None},
            content=content,
            headers={"Content-Type": media_type_of(content)},
        )
        return await asyncio.to_thread(_prediction_of, response) if explain or view else _prediction_of(response)

    async def classify_many(
        self,
        images: Iterable[ImageLike],
        *,
        explain: bool = False,
        view: bool = False,
        frame: int | None = None,
        concurrency: int = 8,
    ) -> AsyncGenerator[Prediction | ClientError, None]:
        """Classify images as they come from an iterable, and give the results in their order.

        For an image that cannot be classified the result is its error, so that the others are not affected. The
        iterable may be long, or a generator: images are taken only as needed, in threads, and ``concurrency`` of them
        are sent at a time.
        """

        async def call(image: ImageLike) -> Prediction | ClientError:
            try:
                return await self.classify(image, explain=explain, view=view, frame=frame)
            except ClientError as error:
                return error

        results = ordered(call, images, concurrency)
        try:
            async for result in results:
                yield result
        finally:
            await results.aclose()

    async def model(self, *, retry: Retry | None = None) -> Model:
        """Say which model is served.

        Raises:
            ServiceBusy: The service has no model now.
            ClientError: As ``classify``.
        """
        index = _object(await self._exchange("GET", "/", retry=retry))
        model: Any = index.get("model")
        if not model:  # the gateway has not asked for one yet, and does when it is asked whether it is ready
            with contextlib.suppress(NotTheService):  # it may be at another port
                model = _object(await self._exchange("GET", "/readyz", retry=retry)).get("model")
        try:
            return Model(
                str(model["name"]),
                int(model["version"]),
                str(index["notice"]),
                str(index["version"]),
            )
        except (KeyError, TypeError, ValueError):
            raise NotTheService(
                "No model is known at this URL yet. Check the URL, or classify an image first."
            ) from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _exchange(self, method: str, path: str, *, retry: Retry | None = None, **parts: Any) -> Response:
        """Send a request until a response counts, as often and as long as ``retry`` says."""
        retry = retry or self._retry
        start = time.monotonic()
        failed = 0
        while True:
            try:
                response = await self._send(method, path, parts)
                check(response)
                return response
            except ClientError as error:
                failed += 1
                if not error.temporary or failed >= retry.attempts:
                    raise
                wait = retry.wait(failed, retry_after_of(error))
                if time.monotonic() - start + wait > retry.patience:
                    raise
            await asyncio.sleep(wait)

    async def _send(self, method: str, path: str, parts: Mapping[str, Any]) -> Response:
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._http.stream(method, self.url + path, follow_redirects=False, **parts) as response,
            ):
                body = bytearray()
                async for part in response.aiter_raw():
                    body += part
                    if len(body) > _MAX_RESPONSE:
                        raise NotTheService("The response is too large for one of this service. Check the URL.")
                return Response(response.status_code, dict(response.headers.multi_items()), bytes(body))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            what = "its certificate is not trusted" if "CERTIFICATE" in str(error) else "no connection can be made"
            raise ServiceUnreachable(f"The service is not reachable: {what}. Check the URL and the network.") from None
        except TimeoutError:
            raise RequestLost(f"The response was not there within {self._timeout:g} s. Try again later.") from None
        except httpx.HTTPError:
            raise RequestLost("The connection was lost before the response was complete. Try again later.") from None


def service_url(url: str) -> str:
    """Check the URL of a service, and return it without a slash at its end.

    Raises:
        ValueError: It is no such URL. The message says what to write.
    """
    example = 'Write it like "http://127.0.0.1:9696" or "https://host/path".'
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        port_is_valid = False
    if not port_is_valid or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"This is no URL of a service. {example}")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"The URL of a service has no user, query or fragment. {example} An API key is given apart.")
    return url.rstrip("/")


def _authorization(api_key: str | None) -> dict[str, str]:
    if api_key is None:
        return {}
    if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise ValueError("An API key has printable ASCII characters and no space. Check the key.")
    return {"Authorization": f"Bearer {api_key}"}


def _prediction_of(response: Response) -> Prediction:
    return prediction_of(_object(response))


def _object(response: Response) -> dict[str, Any]:
    try:
        document = json.loads(response.body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise NotTheService("What responds at this URL is not the service. Check the URL.")
    return document
