import socket
import threading
from ipaddress import ip_network

import pytest

from gateway.addresses import AddressRefused, Resolver

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


def names(*addresses: str):
    """A lookup that gives every name these addresses."""

    def lookup(host: str, port: int, **options: object):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return lookup


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted(address):
    assert Resolver(lookup=names(address)).resolve("name.example", 80, 5) == address


@pytest.mark.parametrize("address", DENIED)
def test_all_others_are_refused(address):
    with pytest.raises(AddressRefused):
        Resolver(lookup=names(address)).resolve("name.example", 80, 5)


@pytest.mark.parametrize("addresses", [(PUBLIC[0], "127.0.0.1"), ("127.0.0.1", PUBLIC[0])])
def test_one_refused_address_refuses_the_name(addresses):
    with pytest.raises(AddressRefused):
        Resolver(lookup=names(*addresses)).resolve("name.example", 80, 5)


def test_the_first_of_several_is_used():
    assert Resolver(lookup=names(*PUBLIC)).resolve("name.example", 80, 5) == PUBLIC[0]


NOTATIONS = ["2130706433", "0177.0.0.1", "127.1", "0x7f.1", "0x7f000001", "\uff11\uff12\uff17.1", "0", "::ffff:7f00:1"]


@pytest.mark.parametrize("host", NOTATIONS)
def test_notations_of_loopback_that_the_system_knows(host):
    with pytest.raises(AddressRefused):
        Resolver().resolve(host, 80, 5)
    # The system does take them for loopback or for this host, so that the check above is no accident.
    assert socket.getaddrinfo(host, 80)


def test_localhost():
    with pytest.raises(AddressRefused):
        Resolver().resolve("localhost", 80, 5)


def test_allowed_networks():
    resolver = Resolver((ip_network("10.1.0.0/16"), ip_network("fd12::/16")), names("10.1.2.3", "fd12::5"))
    assert resolver.resolve("images.example", 80, 5) == "10.1.2.3"
    with pytest.raises(AddressRefused):
        Resolver((ip_network("10.1.0.0/16"),), names("10.2.0.1")).resolve("images.example", 80, 5)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 300, "a..b", "\0", "ä" * 80, ""])
def test_names_that_cannot_be_resolved(host):
    with pytest.raises(AddressRefused):
        Resolver().resolve(host, 80, 20)


def test_a_name_without_addresses():
    with pytest.raises(AddressRefused):
        Resolver(lookup=names()).resolve("name.example", 80, 5)


def test_a_lookup_without_an_answer_is_left_behind():
    release = threading.Event()

    def lookup(*args: object, **options: object):
        release.wait(20)
        return []

    try:
        with pytest.raises(AddressRefused):
            Resolver(lookup=lookup).resolve("name.example", 80, 0.1)
    finally:
        release.set()


def test_refusals_are_not_logged(caplog):
    caplog.set_level(0)
    with pytest.raises(AddressRefused):
        Resolver().resolve("127.0.0.1", 80, 5)
    assert caplog.text == ""
