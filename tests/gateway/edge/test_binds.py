"""The gateway listens on every address of both families, or on those that there are."""

import http.client
import socket
from contextlib import closing

import pytest

from brain_tumor.processes import free_port
from gateway.edge.binds import listening
from tests.gateway.gateway_process import GatewayProcess
from tests.processes import has_ipv6

LOOPBACKS = ("127.0.0.1", "::1")


class FakeSocket(socket.socket):
    """A socket of a system whose sockets of IPv6 take IPv6 alone."""

    def getsockopt(self, level: int, option: int) -> int:
        assert (level, option) == (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        return 1


def no_ipv6(*_: object) -> socket.socket:
    raise OSError("Address family not supported by protocol")


@pytest.mark.parametrize("bind", ["127.0.0.1:80", "[::1]:80", "0.0.0.0:80", "localhost:80"])
def test_one_address_is_as_it_is_set(bind, monkeypatch):
    monkeypatch.setattr(socket, "socket", no_ipv6)
    assert listening(bind) == [bind]


def test_every_address_where_there_is_no_ipv6(monkeypatch):
    monkeypatch.setattr(socket, "socket", no_ipv6)
    assert listening("[::]:80") == ["0.0.0.0:80"]


def test_every_address_where_a_socket_takes_one_family(monkeypatch):
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    monkeypatch.setattr(socket, "socket", FakeSocket)
    assert listening("[::]:80") == ["[::]:80", "0.0.0.0:80"]


def status(host: str, port: int, path: str) -> int:
    with closing(http.client.HTTPConnection(host, port, timeout=20)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


def test_both_ports_are_open_to_both_families(start):
    """And each is known for what it is: metrics are at one of them alone."""
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    port, admin = free_port(), free_port()
    gateway = start(GATEWAY_BIND=f"[::]:{port}", GATEWAY_ADMIN_BIND=f"[::]:{admin}", ready_at=admin)
    assert isinstance(gateway, GatewayProcess)
    for host in LOOPBACKS:
        assert status(host, port, "/openapi.json") == 200
        assert status(host, port, "/metrics") == 404
        assert status(host, admin, "/metrics") == 200
        assert status(host, admin, "/openapi.json") == 404
