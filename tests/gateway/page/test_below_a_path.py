"""The page below a path: a person comes with or without the slash at its end, and every link leads on."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.gateway.fake_model_server import wait_for
from tests.gateway.gateway_process import GatewayProcess, gateway_process
from tests.gateway.page.person import GOOD, choose, expect_progress


@pytest.fixture(scope="module")
def gateway(page_model_server, tmp_path_factory) -> Iterator[GatewayProcess]:
    """In place of the one without a path."""
    log = tmp_path_factory.mktemp("gateway") / "log"
    with gateway_process(log, page_model_server.port, GATEWAY_ROOT_PATH="/tools/brain") as running:
        wait_for(lambda: running.responds("/readyz"))
        yield running


@pytest.mark.parametrize("path", ["tools/brain", "tools/brain/"])
def test_the_page_works_and_its_links_lead_on(open_page, path):
    with open_page(path) as page:
        assert page.url.endswith("/tools/brain/")
        choose(page, GOOD)
        expect_progress(page, "1 of 1 image classified.")
        page.get_by_role("link", name="Model").click()
        expect(page.locator("#card")).to_contain_text("brain-tumor")
        page.get_by_role("link", name="API").click()
        expect(page.locator("#api")).to_contain_text("/predict")
        page.get_by_role("link", name="Classify").click()
        page.wait_for_url("**/tools/brain/")
