"""Pages of other sites: what a browser lets them read, of what the application and of what the edge responds."""

import json
import threading
from collections.abc import Iterator

import pytest

from brain_tumor import contract
from gateway.keys import digest_of
from tests.brain_tumor import images
from tests.gateway.edge.raw import Reply, get, head, read_reply, send, whole
from tests.gateway.fake_model_server import hold_until, wait_for
from tests.gateway.gateway_process import GatewayProcess

SITE = "https://viewer.example.org"
FROM_SITE = f"Origin: {SITE}"
KEY, SLOW = "Authorization: Bearer plain-key", "Authorization: Bearer slow-key"
KEYS = f"""
[plain]
sha256 = ["{digest_of("plain-key")}"]

[slow]
sha256 = ["{digest_of("slow-key")}"]
rate = 0.01
burst = 1
"""
TOO_LARGE = head("/predict", "Content-Length: 99999999", FROM_SITE, KEY)


@pytest.fixture(scope="module")
def gateway(start, tmp_path_factory) -> GatewayProcess:
    keys = tmp_path_factory.mktemp("keys") / "keys.toml"
    keys.write_text(KEYS)
    return start(
        GATEWAY_KEYS_FILE=str(keys),
        GATEWAY_CORS_ORIGINS=f"https://other.example.org,{SITE}",
        GATEWAY_MAX_IN_FLIGHT="1",
        GATEWAY_DEADLINE_SECONDS="3",
    )


@pytest.fixture
def no_slot(gateway, model_server) -> Iterator[None]:
    """A model that does not respond, and a request that has the only slot."""
    release = threading.Event()
    model_server.fault = hold_until(release, contract.PREDICT_SIGNATURE)
    calls = model_server.count(contract.PREDICT_SIGNATURE)
    with gateway.connect() as connection:
        connection.sendall(whole(images.GLIOMA, KEY))
        wait_for(lambda: model_server.count(contract.PREDICT_SIGNATURE) > calls)
        try:
            yield
        finally:
            release.set()
        assert read_reply(connection) is not None  # so that the next test finds the slot free


def check_readable(reply: Reply | None, status: int) -> None:
    assert reply is not None
    assert reply.status == status
    assert reply.headers["access-control-allow-origin"] == SITE
    assert "Origin" in reply.headers["vary"]
    readable = set(reply.headers["access-control-expose-headers"].split(", "))
    assert {"Inference-Header-Content-Length", "Retry-After", "WWW-Authenticate", "X-Request-ID"} == readable


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (whole(images.GLIOMA, FROM_SITE, KEY), 200),
        (whole(images.SVG, FROM_SITE, KEY), 415),
        (whole(images.GLIOMA, FROM_SITE), 401),
        (get("/metrics", FROM_SITE, KEY), 403),
        (get("/nothing", FROM_SITE), 404),
        (TOO_LARGE, 413),
    ],
)
def test_a_page_reads_what_it_is_told(gateway, request_, status):
    check_readable(send(gateway, request_), status)


def test_a_page_reads_when_to_try_again(gateway, no_slot):
    busy = send(gateway, whole(images.GLIOMA, FROM_SITE, KEY))
    check_readable(busy, 503)
    assert int(busy.headers["retry-after"]) > 0
    for status in (503, 429):  # the second is above the rate
        late = send(gateway, whole(images.GLIOMA, FROM_SITE, SLOW))
        check_readable(late, status)
    assert int(late.headers["retry-after"]) > 60


def test_a_browser_may_ask_before_without_a_key_and_a_slot(gateway, no_slot):
    asked = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,content-encoding")
    for path in ("/predict", "/v2/models/brain-tumor/infer"):
        reply = send(gateway, head(path, FROM_SITE, *asked, method="OPTIONS"))
        check_readable(reply, 200)
        assert reply.headers["access-control-allow-methods"] == "GET, POST"
        assert set(reply.headers["access-control-allow-headers"].split(", ")) == {
            "Authorization",
            "Content-Encoding",
            "Content-Type",
            "Inference-Header-Content-Length",
            "Traceparent",
            "Tracestate",
            "X-Model-Version",
            "X-Request-ID",
            "X-Routing-Key",
        }
        assert int(reply.headers["access-control-max-age"]) > 0


@pytest.mark.parametrize(
    "origin", ["https://example.org", f"{SITE}.example.com", "null", "http://viewer.example.org", ""]
)
@pytest.mark.parametrize("key", [KEY, "X-A: without"])
def test_no_other_page_reads_anything(gateway, origin, key):
    reply = send(gateway, whole(images.GLIOMA, *([f"Origin: {origin}"] if origin else []), key))
    assert reply.status == (200 if key == KEY else 401)
    assert reply.headers["vary"] == "Origin"
    assert not [name for name in reply.headers if name.startswith("access-control-")]
    asked = head("/predict", f"Origin: {origin}", "Access-Control-Request-Method: POST", method="OPTIONS")
    assert not [name for name in send(gateway, asked).headers if name.startswith("access-control-")]


def test_every_page_where_all_may(start):
    gateway = start(GATEWAY_CORS_ORIGINS="*", GATEWAY_MAX_BODY_BYTES="100000")
    for request, status in ((get("/", FROM_SITE), 200), (TOO_LARGE, 413)):
        reply = send(gateway, request)
        assert (reply.status, reply.headers["access-control-allow-origin"]) == (status, "*")
        assert "Retry-After" in reply.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in send(gateway, get("/")).headers


def test_the_page_s_own_vary_stays(gateway):
    for origin in ("https://example.org", SITE):
        values = gateway.request("GET", "/", None, {"Origin": origin})[1].get_all("Vary")
        assert sorted(values) == ["Accept", "Origin"]


def test_by_default_no_page_reads_anything(client):
    reply = client.get("/", headers={"Origin": SITE})
    assert json.loads(reply.data)["name"]
    assert reply.headers["Vary"] == "Accept"
    assert not [name for name, _ in reply.headers if name.startswith("Access-Control-")]
