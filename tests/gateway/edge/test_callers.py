"""Keys, their rates and shares: through real sockets."""

import json
import threading
import time

import pytest

from gateway.keys import digest_of
from tests.brain_tumor import images
from tests.gateway.fake_model_server import hold_until, wait_for
from tests.gateway.gateway_process import GatewayProcess

PNG = {"Content-Type": "image/png"}
INFER = "/v2/models/brain-tumor/infer"
KEYS = f"""
[plain]
sha256 = ["{digest_of("plain-key")}", "{digest_of("its-next-key")}"]

[slow]
sha256 = ["{digest_of("slow-key")}"]
rate = 0.5
burst = 2

[half]
sha256 = ["{digest_of("half-key")}"]
share = 0.5

[watcher]
sha256 = ["{digest_of("watcher-key")}"]
scopes = ["metrics"]
"""


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def predict(gateway: GatewayProcess, key: str = "", **headers: str):
    """(status, headers, document) of a prediction."""
    headers = {
        **PNG,
        **(bearer(key) if key else {}),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    status, received, body = gateway.request("POST", "/predict", images.GLIOMA, headers)
    return status, received, json.loads(body)


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    path.write_text(KEYS)
    return path


@pytest.fixture(scope="module")
def gateway(start, key_file) -> GatewayProcess:
    # A deadline that leaves room to wait even where every request is slow, as on a busy machine.
    return start(GATEWAY_KEYS_FILE=str(key_file), GATEWAY_MAX_IN_FLIGHT="4", GATEWAY_DEADLINE_SECONDS="60")


def test_who_has_a_key_may_call(gateway):
    for key in ("plain-key", "its-next-key"):
        assert predict(gateway, key)[0] == 200
    assert gateway.request("POST", "/predict/", images.GLIOMA, {**PNG, "authorization": "bearer plain-key"})[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer("wrong-key"),
        bearer(digest_of("plain-key")),
        {"Authorization": "Basic cGxhaW4ta2V5Og=="},
        {"Authorization": "plain-key"},
        bearer("x" * 12000),
        bearer("plain-key, Bearer plain-key"),
        bearer("\xa0plain-key"),
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/predict/", "//predict", "/%70redict", INFER])
def test_without_a_valid_key(gateway, path, headers):
    status, received, body = gateway.request("POST", path, images.GLIOMA, {**PNG, **headers})
    assert status == 401
    assert received["WWW-Authenticate"].startswith('Bearer realm="')
    sent = headers.get("Authorization", "").startswith("Bearer")
    assert ('error="invalid_token"' in received["WWW-Authenticate"]) == sent
    text = json.loads(body)["error" if path == INFER else "detail"]
    assert "key" in text
    assert received["X-Request-ID"]


def test_a_key_for_something_else(gateway):
    status, received, _ = predict(gateway, "watcher-key")
    assert status == 403
    assert 'error="insufficient_scope", scope="predict"' in received["WWW-Authenticate"]
    assert gateway.request("GET", "/metrics", None, bearer("plain-key"))[0] == 403
    assert gateway.request("GET", "/metrics")[0] == 401
    assert gateway.request("GET", "/metrics", None, bearer("watcher-key"))[0] == 200


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/openapi.json", "/v2", "/v2/models/brain-tumor"])
def test_what_needs_no_key(gateway, path):
    assert gateway.request("GET", path)[0] == 200


def test_a_rate(gateway):
    outcomes = [predict(gateway, "slow-key") for _ in range(4)]
    assert [status for status, _, _ in outcomes] == [200, 200, 429, 429]
    assert outcomes[2][1]["Retry-After"] == "2"
    assert "0.5 requests a second" in outcomes[2][2]["detail"]
    assert predict(gateway, "plain-key")[0] == 200


def test_a_share_leaves_slots_for_others(gateway, model_server):
    statuses: list[int] = []
    open_again = threading.Event()
    model_server.fault = hold_until(open_again)
    threads = [
        threading.Thread(target=lambda: statuses.append(predict(gateway, "half-key")[0]), daemon=True) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    metrics = bearer("watcher-key")

    def gauge(name: str) -> float:
        text = gateway.request("GET", "/metrics", None, metrics)[2].decode()
        return float(next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")))

    try:
        wait_for(lambda: (gauge("gateway_in_flight"), gauge("gateway_waiting")) == (2, 4))
        model_server.fault = None
        start = time.monotonic()
        assert predict(gateway, "plain-key")[0] == 200
        assert time.monotonic() - start < 5
        assert (gauge("gateway_in_flight"), gauge("gateway_waiting")) == (2, 4)
    finally:
        open_again.set()
    for thread in threads:
        thread.join(20)
    assert statuses == [200] * 6


def test_names_in_logs_and_metrics_and_keys_nowhere(gateway):
    predict(gateway, "plain-key", X_Request_ID="by-plain")
    predict(gateway, "secret-of-nobody")
    wait_for(lambda: "for plain [by-plain]" in gateway.log)
    text = gateway.request("GET", "/metrics", None, bearer("watcher-key"))[2].decode()
    assert 'gateway_caller_requests_total{caller="plain",status="200"}' in text
    assert 'gateway_caller_requests_total{caller="slow",status="429"}' in text
    for secret in ("plain-key", "secret-of-nobody", digest_of("plain-key")):
        assert secret not in gateway.log + text


def test_keys_change_without_a_restart(gateway, key_file):
    key_file.write_text(KEYS.replace(digest_of("its-next-key"), digest_of("a-later-key")))
    try:
        wait_for(lambda: predict(gateway, "a-later-key")[0] == 200)
        assert predict(gateway, "its-next-key")[0] == 401
    finally:
        key_file.write_text(KEYS)


def test_a_gateway_with_keys_ends_without_a_word(start, key_file):
    gateway = start(GATEWAY_KEYS_FILE=str(key_file))
    gateway.process.terminate()
    assert gateway.process.wait(20) == 0
    assert "ERROR" not in gateway.log
    assert "Task" not in gateway.log
