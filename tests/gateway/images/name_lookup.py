"""A stand-in for the system's look-up of names."""

import socket
from collections.abc import Callable


def lookup_of(*addresses: str) -> Callable[..., list[tuple[object, ...]]]:
    """A function like ``socket.getaddrinfo`` that gives every name these addresses."""

    def lookup(host: str, port: int, **options: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return lookup
