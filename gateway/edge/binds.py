"""Where the gateway listens: what an address of the settings means on this machine."""

import socket


def listening(bind: str) -> list[str]:
    """The addresses to open sockets at, ``host:port`` each.

    ``[::]`` is every address, of IPv4 too: with one socket where the system gives it both families, as Linux does
    unless told otherwise, else with one for each, and with IPv4's alone where there is no IPv6.
    """
    host, _, port = bind.rpartition(":")
    if host != "[::]":
        return [bind]
    ipv4 = f"0.0.0.0:{port}"
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            is_ipv6_alone = probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    except OSError:  # the system was started without IPv6
        return [ipv4]
    return [bind, ipv4] if is_ipv6_alone else [bind]
