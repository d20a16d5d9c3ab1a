"""oauth2-proxy with the component's settings, between a provider and a gateway."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from brain_tumor.processes import free_port
from gateway.keys import new_caller
from tests import processes
from tests.gateway.fake_model_server import FakeModelServer, fake_model_server, wait_for
from tests.gateway.gateway_process import gateway_process
from tests.gateway.logins import provider as oidc
from tests.gateway.logins.visits import cookies_of, log_in
from tests.processes import ROOT

COMPONENT = ROOT / "kube-config" / "components" / "oauth2-proxy"
FOLDER = "/etc/oauth2-proxy"  # of the pod
KEY, TABLE = new_caller("oauth2-proxy")


@pytest.fixture(scope="module")
def program() -> str:
    places = [str(ROOT / ".tools"), os.environ.get("PATH", os.defpath)]
    return shutil.which("oauth2-proxy", path=os.pathsep.join(places)) or pytest.skip("the tests need oauth2-proxy")


@pytest.fixture(scope="module")
def provider() -> Iterator[oidc.Provider]:
    with oidc.provider() as running:
        yield running


def settings(folder: Path, port: int, upstream: str) -> Mapping[str, str]:
    """The component's settings as variables, and its file in the folder: only addresses and paths are others."""
    text = (COMPONENT / "oauth2-proxy.yaml").read_text()
    for theirs, ours in ((FOLDER, str(folder)), ('":4180"', f"127.0.0.1:{port}"), ("http://gateway", upstream)):
        assert text.count(theirs) == 1
        text = text.replace(theirs, ours)
    (folder / "oauth2-proxy.yaml").write_text(text)
    (folder / "client-secret").write_text(oidc.SECRET)
    (folder / "cookie-secret").write_text("0123456789abcdef" * 2)
    lines = (COMPONENT / "settings.env").read_text().replace(FOLDER, str(folder)).splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def in_front_of(program, provider, tmp_path_factory) -> Callable[..., AbstractContextManager[SimpleNamespace]]:
    """A function that runs oauth2-proxy in front of an address, with more settings, as a context."""

    @contextmanager
    def run(upstream: str, **more: str) -> Iterator[SimpleNamespace]:
        folder, port = tmp_path_factory.mktemp("oauth2-proxy"), free_port()
        environment = {
            **settings(folder, port, upstream),
            "OIDC_CLIENT_ID": oidc.CLIENT,
            "GATEWAY_AUTHORIZATION": f"Bearer {KEY}",
            "OIDC_ISSUER_URL": provider.issuer,
            "OAUTH2_PROXY_EMAIL_DOMAINS": "example.org",
            **more,
        }
        command, log = [program, f"--alpha-config={folder}/oauth2-proxy.yaml"], folder / "log"
        with processes.process(command, log, environment) as child:
            url = f"http://127.0.0.1:{port}"
            processes.wait_until_up(child, lambda: processes.responds(f"{url}/ready"), log)
            yield SimpleNamespace(url=url, log=log, settings=environment, command=command)

    return run


@pytest.fixture(scope="module")
def model_server() -> Iterator[FakeModelServer]:
    with fake_model_server() as server:
        yield server


@pytest.fixture(scope="module")
def logins(in_front_of, model_server, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """oauth2-proxy in front of a gateway that knows it by its key."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "keys.toml").write_text(TABLE)
    with gateway_process(folder / "log", model_server.port, GATEWAY_KEYS_FILE=str(folder / "keys.toml")) as gateway:
        wait_for(lambda: gateway.responds("/readyz"))
        with in_front_of(f"http://127.0.0.1:{gateway.port}") as running:
            running.gateway = gateway
            yield running


@pytest.fixture(scope="module")
def cookie(logins) -> str:
    (line,) = cookies_of(log_in(logins)).values()
    return line.partition(";")[0]
