"""Which addresses a URL may lead to: public ones, and those that the operator allows.

A gateway stands inside a network; without this check, a URL could make it read what only insiders reach, such as a
cloud's metadata service.
"""

import ipaddress
import itertools
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeAlias

from gateway.deadline import Deadline
from gateway.setting_types import Network

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# Python's is_private and is_global pass several of these. Sources: the special-purpose registries
# https://www.iana.org/assignments/iana-ipv4-special-registry and .../iana-ipv6-special-registry.
DENIED_NETWORKS: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared address space; Alibaba Cloud's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's metadata
        "169.254.0.0/16",  # link-local; most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; Oracle Cloud's metadata
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",
        # IPv6: global unicast is 2000::/3; these three are all the rest. They hold IPv4 addresses in disguise
        # (::/96, ::ffff:0:0/96, 64:ff9b::/96), local addresses, AWS's metadata (fd00:ec2::254) and multicast.
        "::/3",
        "4000::/2",
        "8000::/1",
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",
    )
)
# At a time. A request gives up after some seconds, but the system's resolver goes on for half a minute if a name's
# servers do not respond: the lookups that nobody waits for any more must leave room for others.
MAX_LOOKUPS = 64


class AddressRefused(Exception):
    """A name without an address that may be connected to."""


class LookupsBusy(Exception):
    """So many lookups hang that no further one is begun."""


class Resolver:
    """Resolves names to addresses that may be connected to.

    Args:
        allowed: Networks that may be reached although they are not public.
        lookup: ``socket.getaddrinfo``, or a function with its arguments and result.
    """

    def __init__(self, allowed: Sequence[Network] = (), lookup: Callable[..., list[Any]] = socket.getaddrinfo) -> None:
        self._allowed = tuple(allowed)
        self._lookup = lookup
        self._free = threading.BoundedSemaphore(MAX_LOOKUPS)

    def resolve(self, host: str, port: int, deadline: Deadline) -> list[str]:
        """Find the addresses to connect to, as text; the caller must connect to one of them and to no other.

        The families alternate, the system's preferred one first: one that leads nowhere must not be all that is tried.

        Args:
            host: A name, or an address in any notation that the system takes.
            port: The port to connect to.
            deadline: Ends the wait.

        Raises:
            AddressRefused: The host has no address, or one of its addresses may not be connected to.
            LookupsBusy: Too many lookups hang.
            DeadlineExceeded: The lookup took too long.
            ClientLeft: Nobody waits for it.
        """
        done = threading.Event()
        lookup = self._begin_lookup(host, port)
        lookup.add_done_callback(lambda _: done.set())
        try:
            with deadline.on_cancel(done.set):
                while not done.wait(deadline.remaining()):
                    pass
            deadline.remaining()
            texts = dict.fromkeys(str(entry[4][0]) for entry in lookup.result())
        except (OSError, UnicodeError):
            raise AddressRefused from None
        addresses = [ipaddress.ip_address(text) for text in texts]
        if not addresses or not all(map(self._permits, addresses)):
            raise AddressRefused
        first = [address for address in addresses if address.version == addresses[0].version]
        second = [address for address in addresses if address.version != addresses[0].version]
        pairs = itertools.zip_longest(first, second)
        return [str(address) for pair in pairs for address in pair if address is not None]

    def _begin_lookup(self, host: str, port: int) -> Future[list[Any]]:
        """Look a name up in a thread of its own: a lookup cannot be interrupted, and may hang."""
        if not self._free.acquire(blocking=False):
            raise LookupsBusy
        result: Future[list[Any]] = Future()

        def look_up() -> None:
            try:
                entries = self._lookup(host, port, type=socket.SOCK_STREAM)
            except Exception as error:
                self._free.release()
                result.set_exception(error)
            else:
                self._free.release()
                result.set_result(entries)

        try:
            threading.Thread(target=look_up, name="lookup", daemon=True).start()  # not waited for at the end
        except RuntimeError:  # the system gives no thread
            self._free.release()
            raise LookupsBusy from None
        return result

    def _permits(self, address: Address) -> bool:
        if any(address in network for network in self._allowed):
            return True
        return not any(address in network for network in DENIED_NETWORKS)
