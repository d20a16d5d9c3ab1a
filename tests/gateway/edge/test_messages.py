import h11
import pytest
from flask import Flask, request

from gateway.edge.messages import Request, call


def make(target: bytes = b"/predict?explain=true", headers: list[tuple[str, str]] | None = None, body: bytes = b""):
    head = h11.Request(method="POST", target=target, headers=[("Host", "x"), *(headers or [])])
    return Request(head, body)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/predict?explain=true", "/predict", "explain=true"),
        (b"/a%20b/%C3%A4?x=%20", "/a b/\u00c3\u00a4", "x=%20"),
        (b"http://somewhere/predict?a=http://b/c", "/predict", "a=http://b/c"),
        (b"http://somewhere", "/", ""),
        (b"/predict?url=http://a/b", "/predict", "url=http://a/b"),
        (b"*", "/*", ""),
        (b"//predict", "/predict", ""),
        (b"predict", "/predict", ""),
    ],
)
def test_path_and_query(target, path, query):
    environ = make(target).environ()
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == (path, query)


def test_headers_of_a_request():
    headers = [
        ("Content-Type", "image/png"),
        ("X-A", "1"),
        ("X-a", "2"),
        ("Cookie", "a=1"),
        ("Cookie", "b=2"),
        ("X_A", "3"),  # could pass for X-A
        ("Transfer-Encoding", "chunked"),
    ]
    environ = make(headers=headers, body=b"1234").environ()
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("image/png", "4")
    assert (environ["HTTP_X_A"], environ["HTTP_COOKIE"]) == ("1,2", "a=1; b=2")
    assert "HTTP_TRANSFER_ENCODING" not in environ


def test_flask_is_called_with_the_whole_request():
    app = Flask("test")

    @app.post("/echo")
    def echo() -> tuple[str, int, dict[str, str]]:
        return f"{request.args['a']} {request.get_data().decode()}", 201, {"X-B": "c"}

    response = call(app, make(b"/echo?a=1", body=b"body").environ())
    assert (response.status, response.body) == (201, b"1 body")
    assert ("X-B", "c") in response.headers
    assert ("Content-Length", "6") in response.headers
