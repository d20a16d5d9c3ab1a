"""People log in and programs send tokens, to oauth2-proxy itself with the settings of its component.

Without oauth2-proxy in .tools or on the path these tests are skipped.
"""

import subprocess
import time
from collections.abc import Callable

import grpc
import pytest

from tests.gateway.fake_model_server import abort_with
from tests.gateway.logins.provider import SOMEBODY, Provider, new_key
from tests.gateway.logins.visits import HOST, IMAGE, cookies_of, get, log_in, predict
from tests.gateway.web_server import web_server


def test_a_person_logs_in_and_comes_back_to_the_page(logins):
    response = log_in(logins)
    assert (response.status_code, response.headers["Location"]) == (302, "/model?x=1")
    ((name, line),) = cookies_of(response).items()
    assert name.startswith("__Host-")
    assert {"Path=/", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age=28800"} <= set(line.split("; "))


def test_with_a_session_everything_is_there(logins, cookie):
    assert "<title>" in get(f"{logins.url}/", Cookie=cookie, Accept="text/html").text
    response = predict(logins, Cookie=cookie)
    assert response.json()["class"]
    (line,) = [line for line in logins.gateway.log.splitlines() if response.headers["X-Request-ID"] in line]
    assert "for oauth2-proxy" in line


def test_signing_out_takes_the_cookie_back(logins, cookie):
    response = get(f"{logins.url}/oauth2/sign_out", Cookie=cookie)
    assert not cookies_of(response)
    assert response.headers["Set-Cookie"].startswith("__Host-brain-tumor=;")


def test_signing_out_leads_to_the_provider_if_the_operator_names_its_host(in_front_of, logins, provider):
    end = f"{provider.issuer}/end"
    assert get(f"{logins.url}/oauth2/sign_out?rd={end}").headers["Location"] == "/"
    host = provider.issuer.removeprefix("http://")
    with in_front_of("http://127.0.0.1:9", OAUTH2_PROXY_WHITELIST_DOMAINS=host) as willing:
        assert get(f"{willing.url}/oauth2/sign_out?rd={end}").headers["Location"] == end


def test_someone_else_s_person_is_not_let_in(logins, provider):
    provider.person = {"sub": "number-18", "email": "somebody@example.com"}
    try:
        response = log_in(logins)
    finally:
        provider.person = SOMEBODY
    assert response.status_code == 403
    assert not cookies_of(response)


def test_groups_decide_too(in_front_of, provider):
    with in_front_of("http://127.0.0.1:9", OIDC_ALLOWED_GROUPS="radiology,research") as logins:
        assert log_in(logins).status_code == 403
        token = provider.token(**SOMEBODY, groups=["nursing", "research"])
        assert predict(logins, Authorization=f"Bearer {token}").status_code == 502  # let in; nobody is behind it


TOKENS: dict[str, tuple[int, Callable[[Provider], str]]] = {
    "good": (200, lambda provider: provider.token(**SOMEBODY)),
    "expired": (401, lambda provider: provider.token(**SOMEBODY, exp=int(time.time()) - 60)),
    "for another client": (401, lambda provider: provider.token(**SOMEBODY, aud="another")),
    "of another provider": (401, lambda provider: provider.token(**SOMEBODY, iss="http://127.0.0.1:9")),
    "forged": (401, lambda provider: provider.token(new_key(), **SOMEBODY)),
    "of another domain": (403, lambda provider: provider.token(sub="1", email="somebody@example.com")),
}


@pytest.mark.parametrize("name", TOKENS)
def test_a_program_sends_a_token(logins, provider, name):
    status, token = TOKENS[name]
    response = predict(logins, Authorization=f"Bearer {token(provider)}")
    assert response.status_code == status
    assert "Location" not in response.headers


def test_a_key_of_the_gateway_is_no_login(logins):
    assert predict(logins, Authorization=logins.settings["GATEWAY_AUTHORIZATION"]).status_code == 401


def test_without_a_login_programs_get_401_and_no_login_begins(logins):
    before = logins.gateway.log
    for response in (
        predict(logins),
        get(f"{logins.url}/v2/models/brain-tumor"),
        get(f"{logins.url}/", Accept="application/json"),
        get(f"{logins.url}/static/icon.svg"),
        get(f"{logins.url}/favicon.ico"),  # a browser asks for it by itself, also just after the logout
    ):
        assert response.status_code == 401
        assert not cookies_of(response)
        assert "Location" not in response.headers
    assert logins.gateway.log == before


def test_large_images_and_the_gateway_s_refusals_pass(logins, model_server, cookie):
    grown = IMAGE + bytes(3 << 20)  # a JPEG ends where it says
    assert predict(logins, grown, Cookie=cookie).status_code == 200
    model_server.fault = abort_with(grpc.StatusCode.UNAVAILABLE)
    try:
        response = predict(logins, Cookie=cookie)
    finally:
        model_server.fault = None
    assert (response.status_code, response.headers["Content-Type"]) == (503, "application/problem+json")
    assert int(response.headers["Retry-After"]) >= 1


def test_the_gateway_does_not_learn_who_calls(in_front_of, provider):
    with web_server() as upstream:
        address = upstream.serve("/", b"").rstrip("/")
        with in_front_of(address) as logins:
            (line,) = cookies_of(log_in(logins)).values()
            token = provider.token(**SOMEBODY)
            get(f"{logins.url}/", Cookie=line.partition(";")[0], **{"X-Request-ID": "mine"})
            get(f"{logins.url}/", Authorization=f"Bearer {token}")
        with_cookie, with_token = (headers for path, headers in upstream.requests)
    for headers in (with_cookie, with_token):
        assert headers["Authorization"] == logins.settings["GATEWAY_AUTHORIZATION"]
        assert "Cookie" not in headers
        assert headers["Host"] == HOST["Host"]
        sent = "\n".join(headers.values())
        assert not [part for part in (*SOMEBODY.values(), *token.split(".")) if part in sent]
    assert with_cookie["X-Request-Id"] == "mine"


def test_no_log_says_who_came(in_front_of, provider):
    with in_front_of("http://127.0.0.1:9") as logins:
        log_in(logins)
        predict(logins, Authorization=f"Bearer {provider.token(**SOMEBODY)}")
        predict(logins, Authorization=f"Bearer {provider.token(sub='number-18', email='somebody@example.com')}")
        log = logins.log.read_text()
    assert "login: AuthSuccess" in log
    assert "login: AuthFailure" in log
    assert not [part for part in ("somebody", "number-1", "example.com", "/predict?") if part in log]


def test_without_a_word_on_who_may_come_in_it_does_not_start(logins):
    environment = {name: value for name, value in logins.settings.items() if name != "OAUTH2_PROXY_EMAIL_DOMAINS"}
    done = subprocess.run(logins.command, env=environment, capture_output=True, text=True, timeout=20)
    assert done.returncode != 0
    assert "email-domain" in done.stderr
