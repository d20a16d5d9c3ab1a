"""Below a path: whether a proxy takes it off, says so, or leaves it."""

import json

import pytest

from tests.brain_tumor import images

PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def gateway(start):
    return start(GATEWAY_ROOT_PATH="/tools/brain", GATEWAY_TRUSTED_HOPS="1")


@pytest.mark.parametrize("prefix", ["", "/tools/brain"])
def test_every_route_is_there_with_and_without_the_path(gateway, prefix):
    assert gateway.request("POST", f"{prefix}/predict", images.GLIOMA, PNG)[0] == 200
    assert gateway.request("POST", f"{prefix}/predict?explain=true", images.GLIOMA, PNG)[0] == 200
    for path in ("/", "/livez", "/readyz", "/metrics", "/openapi.json", "/v2"):
        assert gateway.request("GET", prefix + path)[0] == 200
    assert "error" in json.loads(gateway.request("POST", f"{prefix}/v2/models/x/infer")[2])


def test_the_root_itself(gateway):
    for path in ("/tools/brain", "/tools/brain?x=1", "/tools/brain/"):
        assert json.loads(gateway.request("GET", path)[2])["links"]["predict"] == "/tools/brain/predict"


def test_another_path_is_not_taken_for_it(gateway):
    assert gateway.request("GET", "/tools/brainy/livez")[0] == 404
    assert gateway.request("GET", "/brain/livez")[0] == 404


def test_links_and_documents_have_the_path_that_clients_see(gateway):
    def root(**headers: str) -> tuple[str, str]:
        links = json.loads(gateway.request("GET", "/", None, headers)[2])["links"]
        document = json.loads(gateway.request("GET", "/openapi.json", None, headers)[2])
        return links["predict"], document["servers"][0]["url"]

    assert root() == ("/tools/brain/predict", "/tools/brain")
    # A proxy that takes a path off says which one; what a client itself has sent stands before the proxy's own.
    assert root(**{"X-Forwarded-Prefix": "/evil, /from-proxy"}) == ("/from-proxy/predict", "/from-proxy")


def test_nobody_is_trusted_by_default(start):
    gateway = start()
    document = json.loads(gateway.request("GET", "/openapi.json", None, {"X-Forwarded-Prefix": "/evil"})[2])
    assert document["servers"] == [{"url": "/"}]
