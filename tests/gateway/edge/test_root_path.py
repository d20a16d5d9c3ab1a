"""Below a path: whether a proxy takes it off, says so, or leaves it."""

import json

import pytest
from flask import request

from gateway.app import create_app
from gateway.model.client import ModelClient
from gateway.settings import Settings
from tests.brain_tumor import images
from tests.gateway.edge.raw import get, send

PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def gateway(start):
    return start(GATEWAY_ROOT_PATH="/tools/brain", GATEWAY_TRUSTED_HOPS="1")


@pytest.mark.parametrize("prefix", ["", "/tools/brain", "http://x/tools/brain"])
def test_every_route_is_there_with_and_without_the_path(gateway, prefix):
    assert gateway.request("POST", f"{prefix}/predict", images.GLIOMA, PNG)[0] == 200
    assert gateway.request("POST", f"{prefix}/predict?explain=true", images.GLIOMA, PNG)[0] == 200
    for path in ("/", "/livez", "/readyz", "/metrics", "/openapi.json", "/v2"):
        assert gateway.request("GET", prefix + path)[0] == 200
    assert "error" in json.loads(gateway.request("POST", f"{prefix}/v2/models/x/infer")[2])


def test_the_root_itself(gateway):
    for path in ("/tools/brain", "/tools/brain?x=1", "/tools/brain/"):
        assert json.loads(gateway.request("GET", path)[2])["links"]["predict"] == "/tools/brain/predict"


@pytest.mark.parametrize(
    ("headers", "to"), [([], "/tools/brain/"), (["X-Forwarded-Prefix: /from-proxy"], "/from-proxy/")]
)
@pytest.mark.parametrize("target", ["/tools/brain", "http://x/tools/brain", "//tools/brain?x=1"])
def test_a_browser_gets_a_slash_behind_the_root(gateway, target, headers, to):
    reply = send(gateway, get(target, "Accept: text/html", *headers))
    assert (reply.status, reply.headers["location"], reply.headers["vary"]) == (308, to, "Accept")
    assert send(gateway, get("/tools/brain/", "Accept: text/html", *headers)).status == 200


def test_another_path_is_not_taken_for_it(gateway):
    assert gateway.request("GET", "/tools/brainlivez")[0] == 404
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


@pytest.mark.parametrize(
    ("hops", "seen"),
    [
        (0, "http://gateway/"),
        (1, "https://second.example.org/brain/"),
        (2, "http://first.example.org/tools/"),
    ],
)
def test_what_a_proxy_says_of_the_client_s_url_counts_by_its_hops(hops, seen):
    app = create_app(Settings(trusted_hops=hops), ModelClient("127.0.0.1:1", "brain-tumor"))
    app.add_url_rule("/seen", view_func=lambda: request.root_url)
    headers = {
        "X-Forwarded-Host": "first.example.org, second.example.org",
        "X-Forwarded-Proto": "http, https",
        "X-Forwarded-Prefix": "/tools, /brain",
    }
    assert app.test_client().get("/seen", base_url="http://gateway/", headers=headers).text == seen
