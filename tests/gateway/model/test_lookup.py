import socket
import threading

import pytest

from gateway.model.lookup import Lookup


def answer(*addresses: str) -> list[object]:
    """What getaddrinfo gives."""
    return [
        (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 8500))
        for address in addresses
    ]


def test_each_address_of_a_name_once(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer("10.0.0.2", "10.0.0.1", "10.0.0.2", "fd00::1"))
    lookup = Lookup("model-server:8500")
    assert lookup.targets == ()
    lookup.refresh()
    lookup.wait(5)
    assert lookup.targets == ("ipv4:10.0.0.1:8500", "ipv4:10.0.0.2:8500", "ipv6:[fd00::1]:8500")


@pytest.mark.parametrize(
    ("server", "targets"),
    [
        ("127.0.0.1:8500", ("ipv4:127.0.0.1:8500",)),
        ("[::1]:8500", ("ipv6:[::1]:8500",)),
        ("ipv4:10.0.0.1:8500,10.0.0.2:8500", ("ipv4:10.0.0.1:8500", "ipv4:10.0.0.2:8500")),
    ],
)
def test_addresses_themselves(server, targets):
    lookup = Lookup(server)
    lookup.refresh()
    lookup.wait(5)
    assert lookup.targets == targets


def test_a_failure_keeps_what_is_known_and_does_not_hammer_dns(monkeypatch):
    lookup = Lookup("model-server:8500")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer("10.0.0.1"))
    lookup.refresh()
    lookup.wait(5)
    asked = []

    def fail(*_: object, **__: object) -> None:
        asked.append(True)
        raise socket.gaierror(socket.EAI_AGAIN, "temporary failure")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    lookup.refresh(max_age=0)
    lookup.wait(5)
    for _ in range(5):
        lookup.refresh()
    lookup.wait(5)
    assert lookup.targets == ("ipv4:10.0.0.1:8500",)
    assert len(asked) == 1


def test_nobody_waits_for_a_dns_server_that_does_not_respond(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(20) and answer("10.0.0.1"))
    lookup = Lookup("model-server:8500")
    lookup.refresh()
    lookup.wait(0.05)
    assert lookup.targets == ()
    release.set()
    lookup.wait(5)
    assert lookup.targets
