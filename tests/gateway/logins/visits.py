"""What browsers and programs do that come to oauth2-proxy."""

from types import SimpleNamespace

import requests

from tests.processes import EXAMPLES

HOST = {"Host": "scans.example.org"}
IMAGE = (EXAMPLES / "glioma.jpg").read_bytes()
_TIMEOUT = 20  # seconds


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers={**HOST, **headers}, allow_redirects=False, timeout=_TIMEOUT)


def predict(logins: SimpleNamespace, body: bytes = IMAGE, **headers: str) -> requests.Response:
    """What a program sends that knows nothing of logins."""
    return requests.post(
        f"{logins.url}/predict?view=true",
        data=body,
        headers={**HOST, "Content-Type": "image/jpeg", **headers},
        allow_redirects=False,
        timeout=_TIMEOUT,
    )


def cookies_of(response: requests.Response) -> dict[str, str]:
    """Each cookie that is set, and all of the line that sets it; those that are taken back are left out."""
    lines = response.raw.headers.getlist("Set-Cookie")
    named = {line.partition("=")[0]: line for line in lines}
    return {name: line for name, line in named.items() if not line.startswith(f"{name}=;")}


def log_in(logins: SimpleNamespace) -> requests.Response:
    """Do what a browser does that comes for a page: the response to its return from the provider."""
    start = get(f"{logins.url}/model?x=1")
    assert start.status_code == 302
    back = requests.get(start.headers["Location"], allow_redirects=False, timeout=_TIMEOUT).headers["Location"]
    assert back.startswith("https://scans.example.org/oauth2/callback?")
    (secret_of_this_login,) = cookies_of(start).values()
    path = back.removeprefix("https://scans.example.org")
    return get(f"{logins.url}{path}", Cookie=secret_of_this_login.partition(";")[0])
