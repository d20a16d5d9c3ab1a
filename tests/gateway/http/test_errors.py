import logging

import pytest
from flask import Flask

from gateway.http import access_log, errors
from gateway.images.from_url import SourceUnreachable
from gateway.metrics import Metrics
from tests.gateway.calls import check_problem


@pytest.mark.parametrize("path", ["/nothing", "/predict/x", "/livez/x", "/static/app.py", "/%2e%2e/etc/passwd"])
def test_unknown_path(client, path):
    document = check_problem(client.get(path), 404)
    assert path not in document["detail"]


@pytest.mark.parametrize(
    "path",
    ["/", "/predict", "/predict/", "/predict//", "//a.example/", "/livez", "/livez/", "/metrics/", "/.", "/predict/."],
)
def test_no_path_is_redirected(client, path):
    for method in ("GET", "POST", "HEAD", "OPTIONS"):
        response = client.open(path, method=method)
        assert "Location" not in response.headers
        assert not 300 <= response.status_code < 400


@pytest.mark.parametrize(("method", "path"), [("get", "/predict"), ("delete", "/predict/"), ("post", "/livez")])
def test_wrong_method(client, method, path):
    response = getattr(client, method)(path)
    check_problem(response, 405)
    assert "OPTIONS" in response.headers["Allow"]


def test_options_and_head(client):
    response = client.options("/predict")
    assert response.status_code == 200
    assert set(response.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
    head = client.head("/livez")
    assert (head.status_code, head.data) == (200, b"")


def failing_client(error: Exception):
    app = Flask("failing")
    metrics = Metrics()
    access_log.register(app, metrics)
    errors.register(app, metrics)

    @app.get("/fail")
    def fail() -> str:
        raise error

    return app.test_client()


def test_an_unexpected_error_is_logged_with_its_trace_and_hidden_from_the_client(caplog):
    response = failing_client(RuntimeError("secret")).get("/fail", headers={"X-Request-ID": "id-5"})
    document = check_problem(response, 500)
    assert "secret" not in response.get_data(as_text=True)
    assert document["request_id"] == "id-5"
    (entry,) = [entry for entry in caplog.records if entry.levelno == logging.ERROR]
    assert entry.exc_info[0] is RuntimeError


def test_a_client_s_mistake_is_not_logged_as_an_error(caplog):
    response = failing_client(SourceUnreachable("The URL cannot be fetched.")).get("/fail")
    check_problem(response, 422)
    assert not [entry for entry in caplog.records if entry.levelno >= logging.WARNING]


def test_every_row_of_the_table_can_be_reached():
    # A row after one of its bases would never count.
    for index, (kind, _, _) in enumerate(errors.TABLE):
        assert not any(issubclass(kind, earlier) for earlier, _, _ in errors.TABLE[:index]), kind
