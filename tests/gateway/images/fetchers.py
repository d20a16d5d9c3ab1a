"""Fetchers that may reach the tests' own web servers, and nothing else."""

import socket
from ipaddress import ip_network

from gateway.images.addresses import Resolver
from gateway.images.from_url import Fetcher

LOOPBACK = (ip_network("127.0.0.1/32"),)


def fetcher(web, *, networks=LOOPBACK, lookup=socket.getaddrinfo, timeout: float = 10.0, **options: object) -> Fetcher:
    """A fetcher for the port of a web server; an image has at most 20,000 bytes."""
    resolver = Resolver(networks, lookup)
    return Fetcher(resolver, ports=frozenset({web.port}), max_bytes=20_000, timeout=timeout, **options)
