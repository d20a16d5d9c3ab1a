"""A real gateway before a model server whose faults a test programs, and a real Chromium."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.gateway.fake_model_server import FakeModel, FakeModelServer, fake_model_server, metadata, wait_for
from tests.gateway.gateway_process import GatewayProcess, gateway_process

CHROMIUM = Path("/usr/bin/chromium")
# The browser itself reports responses with an error's status and a network that is gone; Swagger UI, that it has no
# widget of its own for a file among several.
EXPECTED = re.compile("Failed to load resource|Could not find component: JsonSchema_string_binary")


@pytest.fixture(scope="module")
def page_model_server() -> Iterator[FakeModelServer]:
    with fake_model_server() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(page_model_server, tmp_path_factory) -> Iterator[GatewayProcess]:
    log = tmp_path_factory.mktemp("gateway") / "log"
    with gateway_process(log, page_model_server.port) as running:
        wait_for(lambda: running.responds("/readyz"))
        yield running


@pytest.fixture
def serve(page_model_server, gateway) -> Iterator[Callable[..., int]]:
    """A function that puts a model in use, with other metadata, and gives its version: serve(explains=False)."""
    served_before = page_model_server.model

    def serve(**changes: object) -> int:
        version = page_model_server.model.version + 1
        use(FakeModel(metadata(**changes), version=version))
        return version

    def use(model: FakeModel) -> None:
        page_model_server.model = model
        # The gateway may hold the older one for a moment.
        wait_for(lambda: json.loads(gateway.request("GET", "/readyz")[2])["model"].get("version") == model.version)

    yield serve
    if page_model_server.model is not served_before:
        use(FakeModel(metadata(), version=page_model_server.model.version + 1))


@pytest.fixture
def served(page_model_server) -> Iterator[FakeModelServer]:
    """The model server of the gateway, with the usual model; no fault of one test reaches the next."""
    yield page_model_server
    page_model_server.fault = None


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser; for one module, since Playwright's event loop must not run beside the tests of others."""
    if not CHROMIUM.exists():
        pytest.skip("the tests of the page need Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, gateway) -> Callable[..., Page]:
    """A function that opens a page of the gateway, as a context: open_page(path, what a browser's context takes).

    At the end the page must have asked nothing from elsewhere, and have met no error of a script or of the policy.
    """

    @contextmanager
    def open_page(path: str = "", **options: object) -> Iterator[Page]:
        faults: list[str] = []
        address = f"http://127.0.0.1:{gateway.port}/"
        context = chromium.new_context(**options)
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: EXPECTED.search(message.text) or faults.append(message.text))
        page.on("request", lambda request: request.url.startswith((address, "blob:")) or faults.append(request.url))
        page.goto(address + path)
        try:
            yield page
        finally:
            context.close()
        assert faults == []

    return open_page
