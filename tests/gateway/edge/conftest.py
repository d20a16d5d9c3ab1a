from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.gateway.fake_model_server import FakeModelServer, fake_model_server, wait_for
from tests.gateway.gateway_process import GatewayProcess, gateway_process


@pytest.fixture(scope="module")
def model_server() -> Iterator[FakeModelServer]:
    """One for all tests of a module: a gateway that keeps running refers to it."""
    with fake_model_server() as server:
        yield server


@pytest.fixture(scope="module")
def start(model_server, tmp_path_factory) -> Iterator[Callable[..., GatewayProcess]]:
    """A function that starts a gateway with these settings: start(GATEWAY_...="..."); ready_at is a port of probes."""
    with ExitStack() as stack:

        def start(ready_at: int | None = None, **settings: str) -> GatewayProcess:
            log = tmp_path_factory.mktemp("gateway") / "log"
            gateway = stack.enter_context(gateway_process(log, model_server.port, **settings))
            probed = GatewayProcess(ready_at or gateway.port, gateway.process, gateway.log_file)
            wait_for(lambda: probed.responds("/readyz"))
            return gateway

        yield start


@pytest.fixture(autouse=True)
def no_fault(model_server) -> Iterator[None]:
    """Let no fault of one test reach the next."""
    yield
    model_server.fault = None
