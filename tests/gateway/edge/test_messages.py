import h11
from flask import Flask, request

from gateway.edge.head import read_head
from gateway.edge.lanes import Lane, Route
from gateway.edge.messages import AFTER, Request, call


def make(target: bytes = b"/predict?explain=true", headers: list[tuple[str, str]] | None = None, body: bytes = b""):
    head = h11.Request(method="POST", target=target, headers=[("Host", "x"), *(headers or [])])
    return Request(read_head(head), body, Route("/predict", Lane.WORK))


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


def test_what_is_left_for_later_comes_with_the_response():
    done: list[str] = []
    app = Flask("test")

    @app.get("/")
    def index() -> str:
        request.environ[AFTER].append(lambda: done.append("later"))
        return "now"

    environ = make(b"/").environ()
    environ["REQUEST_METHOD"] = "GET"
    response = call(app, environ)
    assert (response.body, done, environ[AFTER]) == (b"now", [], [])
    for job in response.after:
        job()
    assert done == ["later"]
