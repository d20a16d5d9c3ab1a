"""The page without a browser: who gets HTML, with which headers, and which files there are."""

import hashlib
import re

import grpc
import pytest

from brain_tumor.contract import RESEARCH_NOTICE
from gateway.page.assets import read_assets
from tests.gateway.fake_model_server import FakeModel, abort_with, metadata
from tests.processes import EXAMPLES, ROOT

STATIC = ROOT / "gateway" / "page" / "static"
CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"
HTML = {"Accept": "text/html"}


@pytest.mark.parametrize("path", ["/", "/model"])
@pytest.mark.parametrize("accept", [CHROMIUM, "text/html", "application/json;q=0.5, text/html"])
def test_browsers_get_html(client, path, accept):
    response = client.get(path, headers={"Accept": accept})
    assert response.status_code == 200
    assert response.content_type == "text/html; charset=utf-8"
    assert response.headers["Vary"] == "Accept"


@pytest.mark.parametrize("path", ["/", "/model"])
@pytest.mark.parametrize(
    "accept", [None, "", "*/*", "application/json", "application/json, text/plain, */*", "text/html;q=0", "nonsense;;"]
)
def test_all_others_get_json(client, path, accept):
    response = client.get(path, headers={} if accept is None else {"Accept": accept})
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert response.headers["Vary"] == "Accept"
    assert response.headers["Cache-Control"] == "no-store"


def test_the_policy_allows_nothing_from_elsewhere(client):
    headers = client.get("/", headers=HTML).headers
    assert headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_every_file_is_there_with_its_media_type_and_is_sent_once(client):
    media_types = {".css": "text/css", ".html": "text/html", ".jpg": "image/jpeg", ".js": "text/javascript"}
    files = [path for path in STATIC.rglob("*") if path.suffix in (*media_types, ".svg")]
    assert len(files) > 15
    for path in files:
        url = f"/static/{path.relative_to(STATIC).as_posix()}"
        response = client.get(url)
        assert response.data == path.read_bytes()
        assert response.content_type.partition(";")[0] == media_types.get(path.suffix, "image/svg+xml")
        assert response.headers["Cache-Control"] == "no-cache"
        again = client.get(url, headers={"If-None-Match": response.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        head = client.head(url)
        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == str(path.stat().st_size)


@pytest.mark.parametrize("path", ["nothing.js", "../assets.py", "..%2fassets.py", "samples", "", "/etc/passwd"])
def test_nothing_else_is_there(client, path):
    response = client.get(f"/static/{path}")
    assert response.status_code == 404
    assert response.content_type == "application/problem+json"


def test_the_files_are_read_once(tmp_path):
    (tmp_path / "a.css").write_text("a{}")
    (tmp_path / "notes.txt").write_text("no file of the page")
    assets = read_assets(tmp_path)
    (tmp_path / "a.css").unlink()
    assert {path: asset.body for path, asset in assets.items()} == {"a.css": b"a{}"}


def test_the_samples_are_the_examples():
    samples = {path.name: path.read_bytes() for path in (STATIC / "samples").iterdir()}
    assert samples == {path.name: path.read_bytes() for path in EXAMPLES.glob("*.jpg")}


@pytest.mark.parametrize("name", ["index.html", "model.html"])
def test_the_notice_is_the_project_s(name):
    (notice,) = re.findall(r'<aside class="notice".*?<strong[^>]*>(.*?)</strong>', (STATIC / name).read_text())
    assert notice == RESEARCH_NOTICE


def test_no_file_names_another_place_or_holds_inline_code():
    for path in STATIC.rglob("*"):
        if path.suffix not in (".html", ".js", ".css") or path.parent.name == "swagger-ui":
            continue
        text = path.read_text()
        assert not re.search(r"(?:https?:)?//[\w.-]+\.\w|innerHTML|\beval\(|\bon\w+=\"|style=\"", text), path
        # Under a path, a URL from the root would lead elsewhere.
        assert not re.search(r"(?:src|href|fetch\()=?[\"'`(]+/", text), path


def test_model_as_json(client, model_server):
    model_server.model = FakeModel(metadata(metrics={"test": {"accuracy": 0.9}}), version=4)
    document = client.get("/model").get_json()
    assert (document["name"], document["version"]) == ("brain-tumor", 4)
    assert document["class_names"] == ["glioma", "meningioma", "notumor", "pituitary"]
    assert document["metrics"] == {"test": {"accuracy": 0.9}}
    assert document["notice"] == RESEARCH_NOTICE


def test_the_model_s_page_is_there_while_the_model_is_away(client, model_server):
    model_server.fault = abort_with(grpc.StatusCode.UNAVAILABLE)
    response = client.get("/model")
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert client.get("/model", headers=HTML).status_code == 200


def test_a_model_that_has_been_seen_is_described_while_it_is_away(client, model_server):
    assert client.get("/model").status_code == 200
    model_server.fault = abort_with(grpc.StatusCode.UNAVAILABLE)
    assert client.get("/model").get_json()["version"] == 1


def test_links_lead_below_the_path_that_the_gateway_has(client):
    links = client.get("/", base_url="http://localhost/scans").get_json()["links"]
    assert links["predict"] == "/scans/predict"
    assert links["model"] == "/scans/model"


def test_swagger_ui_is_the_one_that_its_readme_names():
    folder = STATIC / "swagger-ui"
    hashes = dict(re.findall(r"`([\w.-]+)` \| `([0-9a-f]{64})`", (folder / "README.md").read_text()))
    assert hashes == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("swagger-ui-bundle.js", "swagger-ui.css")
    }
    assert (folder / "LICENSE").is_file()
