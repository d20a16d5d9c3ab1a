import socket
import threading
from ipaddress import ip_network

import pytest

from gateway.deadline import ClientLeft, Deadline, DeadlineExceeded
from gateway.images.addresses import DENIED_NETWORKS, MAX_LOOKUPS, AddressRefused, LookupsBusy, Resolver
from tests.gateway.fake_model_server import wait_for
from tests.gateway.images.name_lookup import hanging_lookup, lookup_of

PUBLIC = ["93.184.216.34", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "2a00:1450:4001::200e"]
DENIED = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",  # AWS, Azure, Google Cloud
    "169.254.170.2",  # AWS, tasks
    "168.63.129.16",  # Azure
    "100.100.100.200",  # Alibaba Cloud
    "192.0.0.192",  # Oracle Cloud
    "100.64.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:93.184.216.34",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",  # AWS over IPv6
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted(address):
    assert Resolver(lookup=lookup_of(address)).resolve("name.example", 80, Deadline(5)) == [address]


@pytest.mark.parametrize("address", DENIED)
def test_all_others_are_refused(address):
    with pytest.raises(AddressRefused):
        Resolver(lookup=lookup_of(address)).resolve("name.example", 80, Deadline(5))


# The networks that the filter of requests-hardened 1.3.0 denies (requests_hardened/ip_filter.py, which adds a list of
# its own to what Python 3.11's ipaddress calls private or multicast).
DENIED_BY_REQUESTS_HARDENED = [
    # private
    "0.0.0.0/8",
    "10.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/29",
    "192.0.0.170/31",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "::ffff:0:0/96",
    "100::/64",
    "2001::/23",
    "2001:2::/48",
    "2001:10::/28",
    "2001:db8::/32",
    "fc00::/7",
    "fe80::/10",
    # multicast
    "224.0.0.0/4",
    "ff00::/8",
    # its own list
    "100.64.0.0/10",
    "192.0.0.0/24",
    "192.88.99.0/24",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "2001:20::/28",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
]


@pytest.mark.parametrize("network", DENIED_BY_REQUESTS_HARDENED)
def test_what_requests_hardened_denies_is_denied(network):
    version = ip_network(network).version
    assert any(ip_network(network).subnet_of(denied) for denied in DENIED_NETWORKS if denied.version == version)


@pytest.mark.parametrize("addresses", [(PUBLIC[0], "127.0.0.1"), ("127.0.0.1", PUBLIC[0])])
def test_one_refused_address_refuses_the_name(addresses):
    with pytest.raises(AddressRefused):
        Resolver(lookup=lookup_of(*addresses)).resolve("name.example", 80, Deadline(5))


def test_all_addresses_are_given_and_the_families_alternate():
    v4, v6 = [address for address in PUBLIC if "." in address], [address for address in PUBLIC if ":" in address]
    resolver = Resolver(lookup=lookup_of(*v6, *v4, v6[0]))
    assert resolver.resolve("name.example", 80, Deadline(5)) == [v6[0], v4[0], v6[1], *v4[1:2], *v4[2:]]


NOTATIONS = ["2130706433", "0177.0.0.1", "127.1", "0x7f.1", "0x7f000001", "\uff11\uff12\uff17.1", "0", "::ffff:7f00:1"]


@pytest.mark.parametrize("host", NOTATIONS)
def test_notations_of_loopback_that_the_system_knows(host):
    with pytest.raises(AddressRefused):
        Resolver().resolve(host, 80, Deadline(5))
    # The system does take them for loopback or for this host, so that the check above is no accident.
    assert socket.getaddrinfo(host, 80)


def test_localhost():
    with pytest.raises(AddressRefused):
        Resolver().resolve("localhost", 80, Deadline(5))


def test_allowed_networks():
    resolver = Resolver((ip_network("10.1.0.0/16"), ip_network("fd12::/16")), lookup_of("10.1.2.3", "fd12::5"))
    assert resolver.resolve("images.example", 80, Deadline(5)) == ["10.1.2.3", "fd12::5"]
    with pytest.raises(AddressRefused):
        Resolver((ip_network("10.1.0.0/16"),), lookup_of("10.2.0.1")).resolve("images.example", 80, Deadline(5))


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 300, "a..b", "\0", "ä" * 80, ""])
def test_names_that_cannot_be_resolved(host):
    with pytest.raises(AddressRefused):
        Resolver().resolve(host, 80, Deadline(20))


def test_a_name_without_addresses():
    with pytest.raises(AddressRefused):
        Resolver(lookup=lookup_of()).resolve("name.example", 80, Deadline(5))


def test_a_lookup_that_hangs_is_left_behind():
    with hanging_lookup() as lookup, pytest.raises(DeadlineExceeded):
        Resolver(lookup=lookup).resolve("name.example", 80, Deadline(0.1))


def test_lookups_that_hang_leave_room_for_others_up_to_a_limit():
    with hanging_lookup() as hang:

        def lookup(host: str, *args: object, **options: object):
            return hang() if host == "hangs.example" else lookup_of(PUBLIC[0])(host, 80)

        resolver = Resolver(lookup=lookup)
        for _ in range(MAX_LOOKUPS):
            assert resolver.resolve("name.example", 80, Deadline(20)) == [PUBLIC[0]]
            with pytest.raises(DeadlineExceeded):
                resolver.resolve("hangs.example", 80, Deadline(0.001))
        with pytest.raises(LookupsBusy):
            resolver.resolve("name.example", 80, Deadline(20))
    wait_for(lambda: threading.active_count() < MAX_LOOKUPS)
    assert resolver.resolve("name.example", 80, Deadline(20)) == [PUBLIC[0]]


def test_a_client_that_leaves_ends_the_wait_for_a_lookup():
    deadline = Deadline(60)
    with hanging_lookup() as lookup:

        def leave(*args: object, **options: object):
            deadline.cancel()
            return lookup()

        with pytest.raises(ClientLeft):
            Resolver(lookup=leave).resolve("name.example", 80, deadline)


def test_refusals_are_not_logged(caplog):
    caplog.set_level(0)
    with pytest.raises(AddressRefused):
        Resolver().resolve("127.0.0.1", 80, Deadline(5))
    assert caplog.text == ""
