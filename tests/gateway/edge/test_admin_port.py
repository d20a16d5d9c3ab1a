"""Probes and metrics on a port of their own: each port has its own routes, whatever else would refuse a request."""

import json
import sys

import pytest

from brain_tumor.processes import free_port
from gateway.keys import digest_of
from tests import processes
from tests.brain_tumor import images
from tests.gateway.edge.raw import check_refusal, head, send
from tests.gateway.fake_model_server import wait_for
from tests.gateway.gateway_process import GatewayProcess

PATHS = ("/livez", "/readyz", "/metrics")
# Start the gateway as systemd does a service with sockets, which are its descriptors from 3 on.
WITH_SOCKETS = """
import os, socket, sys
sockets = [socket.create_server(("127.0.0.1", int(port))) for port in sys.argv[1:]]
for number in [os.dup2(one.fileno(), 50 + index) for index, one in enumerate(sockets)]:
    os.dup2(number, number - 47)
os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "gateway"])
"""


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    path.write_text(f'[plain]\nsha256 = ["{digest_of("plain-key")}"]\n')
    return path


@pytest.fixture(scope="module")
def ports(start, key_file) -> tuple[GatewayProcess, GatewayProcess]:
    """A gateway that asks for keys: its main port, and its port for probes and metrics."""
    port = free_port()
    gateway = start(
        GATEWAY_ADMIN_BIND=f"127.0.0.1:{port}",
        ready_at=port,
        GATEWAY_KEYS_FILE=str(key_file),
        GATEWAY_ROOT_PATH="/tools",
    )
    return gateway, GatewayProcess(port, gateway.process, gateway.log_file)


@pytest.mark.parametrize("path", PATHS)
def test_probes_and_metrics_are_at_their_port_alone_and_need_no_key(ports, path):
    main, admin = ports
    for method in ("GET", "HEAD"):
        assert admin.request(method, path)[0] == 200
    assert admin.request("POST", path)[0] == 405
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        for seen in (path, f"/tools{path}", f"{path}/", f"/{path}", f"http://x{path}"):
            assert main.request(method, seen)[0] == 404
    assert main.request("GET", path, None, {"Authorization": "Bearer plain-key"})[0] == 404


@pytest.mark.parametrize(
    "path", ["/", "/openapi.json", "/docs", "/static/base.css", "/v2", "/v2/health/ready", "/nothing", "/tools"]
)
def test_nothing_else_is_at_that_port(ports, path):
    assert ports[1].request("GET", path)[0] == 404


@pytest.mark.parametrize(("port", "path"), [(1, "/predict"), (1, "/nothing"), (0, "/metrics")])
def test_what_is_not_there_is_refused_before_its_body(ports, port, path):
    reply = send(ports[port], head(path, "Content-Length: 1000"))  # which never comes
    assert check_refusal(reply, 404) == "There is nothing at this path. GET / lists what there is."


def test_below_v2_a_refusal_has_the_form_of_the_protocol(ports):
    reply = send(ports[1], head("/tools/v2/models/brain-tumor/infer", "Content-Length: 1000"))
    assert (reply.status, set(reply.document)) == (404, {"error", "request_id"})


def test_clients_are_not_told_of_them(ports):
    main, _ = ports
    links = json.loads(main.request("GET", "/")[2])["links"]
    assert set(links) == {"predict", "model", "openapi", "docs", "v2"}
    paths = json.loads(main.request("GET", "/openapi.json")[2])["paths"]
    assert paths.keys().isdisjoint(PATHS)
    assert "/predict" in paths


def test_predictions_are_at_the_main_port(ports):
    headers = {"Content-Type": "image/png", "Authorization": "Bearer plain-key"}
    assert ports[0].request("POST", "/predict", images.GLIOMA, headers)[0] == 200
    assert ports[0].request("POST", "/predict", images.GLIOMA, {"Content-Type": "image/png"})[0] == 401


@pytest.mark.parametrize("has_admin_port", [False, True])
def test_a_second_socket_is_no_port_for_probes_by_its_place(tmp_path, key_file, has_admin_port):
    first, second = free_port(), free_port()
    settings = {"GATEWAY_BIND": f"127.0.0.1:{first}", "GATEWAY_KEYS_FILE": str(key_file)}
    if has_admin_port:
        settings |= {"GATEWAY_ADMIN_BIND": f"127.0.0.1:{first}", "GATEWAY_BIND": f"127.0.0.1:{second}"}
    command = [sys.executable, "-c", WITH_SOCKETS, str(first), str(second)]
    with processes.process(command, log := tmp_path / "log", settings) as process:
        gateways = [GatewayProcess(port, process, log) for port in (first, second)]
        wait_for(lambda: gateways[0].responds("/livez"), timeout=60)
        assert gateways[0].request("GET", "/metrics")[0] == (200 if has_admin_port else 401)
        assert gateways[1].request("GET", "/metrics")[0] == (404 if has_admin_port else 401)
        for gateway, status in zip(gateways, (404 if has_admin_port else 401, 401), strict=True):
            assert gateway.request("POST", "/predict", images.GLIOMA, {"Content-Type": "image/png"})[0] == status
