"""Model servers with addresses of IPv6."""

import socket

import pytest

from brain_tumor import contract
from tests.gateway.calls import predict
from tests.gateway.fake_model_server import fake_model_server
from tests.processes import has_ipv6


@pytest.fixture
def on_ipv6():
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with fake_model_server(host="[::1]") as server:
        yield server


@pytest.mark.parametrize("address", ["[::1]:{port}", "ipv6:[::1]:{port}"])
def test_a_replica_with_an_address_of_ipv6(on_ipv6, make_client, address):
    response = predict(make_client(model_server=address.format(port=on_ipv6.port)))
    assert response.status_code == 200
    assert on_ipv6.count(contract.PREDICT_SIGNATURE) == 1
    assert all(peer.startswith("ipv6:") for peer in on_ipv6.peers)


def test_a_name_with_addresses_of_both_families(on_ipv6, make_client, monkeypatch):
    """Each is a replica; nothing listens at the one of IPv4."""
    addresses = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
    entries = [(family, socket.SOCK_STREAM, 6, "", (host, on_ipv6.port)) for family, host in addresses]
    client = make_client(model_server=f"model-server:{on_ipv6.port}")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    assert [predict(client).status_code for _ in range(4)] == [200] * 4
