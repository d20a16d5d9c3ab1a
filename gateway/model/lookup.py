"""Looks up the addresses of the model server's replicas, in a thread of its own: DNS may take many seconds."""

import logging
import socket
import threading
import time

MAX_AGE = 5.0  # seconds after which the addresses are looked up again, so that new replicas get calls
# After a failed call a replica's new address may be in DNS already; no more often than this.
MAX_AGE_AFTER_FAILURE = 1.0  # seconds
_log = logging.getLogger(__name__)


class Lookup:
    """The addresses behind a name, as gRPC targets; safe to share between threads.

    Args:
        server: ``host:port``, where every address of the host is a replica's, or a gRPC target that lists addresses,
            such as ``ipv4:10.0.0.1:8500,10.0.0.2:8500``.
    """

    def __init__(self, server: str) -> None:
        self._lock = threading.Lock()
        self._done = threading.Event()  # set while no look-up is under way
        self._done.set()
        self._looked_up: float | None = None  # when the last look-up began; monotonic seconds
        self.targets: tuple[str, ...] = ()
        family, _, addresses = server.partition(":")
        self._host = ""
        if family in ("ipv4", "ipv6"):
            self.targets = tuple(f"{family}:{address}" for address in addresses.split(","))
        else:
            host, _, port = server.rpartition(":")
            self._host, self._port = host.strip("[]"), int(port)

    def refresh(self, max_age: float = MAX_AGE) -> None:
        """Begin to look up the addresses, unless that was done within this time, or is under way. Does not wait."""
        if not self._host or not self._is_due(max_age):
            return
        with self._lock:
            if not self._done.is_set() or not self._is_due(max_age):
                return
            self._looked_up = time.monotonic()
            self._done.clear()
        threading.Thread(target=self._look_up, name="model-lookup", daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Wait until no look-up is under way, for at most this long."""
        self._done.wait(seconds)

    def _is_due(self, max_age: float) -> bool:
        return self._looked_up is None or time.monotonic() - self._looked_up >= max_age

    def _look_up(self) -> None:
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            # In one order, whichever the DNS server gives; without doubles.
            targets = {_target(family, str(address[0]), self._port) for family, *_, address in found}
            self.targets = tuple(sorted(targets))
        except OSError as error:
            # The old addresses stay: while DNS is down, or has none, the replicas may still respond.
            _log.debug("no addresses of the model server: %s", error)
        finally:
            self._done.set()


def _target(family: int, address: str, port: int) -> str:
    if family == socket.AF_INET6:
        return f"ipv6:[{address}]:{port}"
    return f"ipv4:{address}:{port}"
