"""The server listens on every address of both families, or on those that there are."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import closing

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from brain_tumor.processes import free_port, listens, model_server_command
from portable_model_server.api.listeners import PortTaken, address, check_address, every_address
from portable_model_server.flags import Flags
from tests.processes import SHIPPED_MODEL, Server, has_ipv6, process, wait_until_up

EVERY = Flags().host
LOOPBACKS = ("127.0.0.1", "::1")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    log, port, rest_port = tmp_path_factory.mktemp("addresses") / "log", free_port(), free_port()
    command = model_server_command(
        SHIPPED_MODEL, "--enable_grpc_healthcheck_service", port=port, rest_port=rest_port, host=EVERY
    )
    with process(command, log) as child:
        wait_until_up(child, lambda: listens(port) and listens(rest_port), log)
        yield Server(child, log, port, rest_port)


@pytest.mark.parametrize("host", LOOPBACKS)
def test_both_ports_are_open_to_both_families(server: Server, host: str) -> None:
    with closing(http.client.HTTPConnection(host, server.rest_port, timeout=20)) as connection:
        connection.request("GET", "/v1/models/brain-tumor")
        assert connection.getresponse().status == 200
    with grpc.insecure_channel(address(host, server.port)) as channel:
        response = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
    assert response.status == health_pb2.HealthCheckResponse.SERVING


def test_a_port_that_is_taken_in_one_family() -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"listening on \[::\]:{port} is in use by another process"):
            check_address(EVERY, port)
        check_address("::1", port)


def test_every_address_where_there_is_no_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    assert every_address(EVERY) == "0.0.0.0"
    assert every_address("::1") == "::1"


def test_an_address_of_ipv6_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_ipv6(*_: object) -> socket.socket:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", no_ipv6)
    with pytest.raises(PortTaken, match=r"listening on \[::1\]:8500 failed: Address family not supported"):
        check_address("::1", 8500)
