"""A stand-in for the system's look-up of names."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def lookup_of(*addresses: str) -> Callable[..., list[tuple[object, ...]]]:
    """A function like ``socket.getaddrinfo`` that gives every name these addresses."""

    def lookup(host: str, port: int, **options: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return lookup


@contextmanager
def hanging_lookup() -> Iterator[Callable[..., list[tuple[object, ...]]]]:
    """A function like ``socket.getaddrinfo`` that returns only when the block ends."""
    release = threading.Event()

    def lookup(*args: object, **options: object) -> list[tuple[object, ...]]:
        release.wait(20)
        return []

    try:
        yield lookup
    finally:
        release.set()
