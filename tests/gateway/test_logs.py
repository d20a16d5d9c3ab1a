import json
import logging
from logging.config import dictConfig

import pytest
from flask import Flask

from gateway import errors, tracing
from gateway.fetch import SourceUnreachable
from gateway.logs import REQUEST_ID, JsonFormatter, PlainFormatter, WithoutClientData, configuration
from gateway.metrics import Metrics
from tests.brain_tumor import images
from tests.gateway.test_bad_requests import check_problem
from tests.gateway.test_model_faults import PNG

NAME = "doe"


def record(message: str = "hello %s", *args: object, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("gateway.test", logging.ERROR, __file__, 1, message, args, info)


def failing() -> BaseException:
    try:
        try:
            raise KeyError(f"patient-{NAME}")
        except KeyError as error:
            raise ValueError(f"http://{NAME}.example") from error
    except ValueError as error:
        return error


def test_json_lines():
    document = json.loads(JsonFormatter().format(record("hello %s", "you")))
    assert document.pop("time").endswith("+00:00")
    assert document == {"level": "error", "logger": "gateway.test", "message": "hello you"}


@pytest.mark.parametrize("formatter", [PlainFormatter(), JsonFormatter()])
def test_a_trace_has_places_and_kinds_but_no_messages(formatter):
    text = formatter.format(record("failed", error=failing()))
    assert "KeyError" in text
    assert "ValueError" in text
    assert "test_logs.py" in text
    assert text.index("KeyError") < text.rindex("ValueError")
    assert NAME not in text


@pytest.mark.parametrize("formatter", [PlainFormatter(), JsonFormatter()])
def test_the_request_s_id_is_on_its_lines(formatter):
    token = REQUEST_ID.set("abc-1")
    assert "abc-1" in formatter.format(record("hi"))
    REQUEST_ID.reset(token)
    assert "abc-1" not in formatter.format(record("hi"))


@pytest.mark.parametrize(
    ("message", "args"),
    [("Invalid request from ip=10.9.8.7: Doe", ()), ("Error handling request %s %s", ("GET", "/doe"))],
)
def test_complaints_of_gunicorn_are_cut_short(message, args):
    each = record(message, *args)
    assert WithoutClientData().filter(each)
    text = PlainFormatter().format(each)
    assert "request" in text
    assert not any(part in text.lower() for part in ("doe", "10.9.8.7"))


@pytest.mark.parametrize("style", ["plain", "json"])
def test_the_configuration_is_valid(style):
    before = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        dictConfig(configuration("warning", style))
        assert logging.getLogger().level == logging.WARNING
    finally:
        logging.getLogger().handlers[:], level = before
        logging.getLogger().setLevel(level)


def test_one_line_a_request_without_client_data(client, caplog):
    caplog.set_level(logging.INFO)
    client.post("/predict?explain=true", data=images.GLIOMA, headers=PNG)
    client.get("/patient-doe?name=doe")
    client.get("/livez")
    messages = [entry.getMessage() for entry in caplog.records]
    assert [message.split(" in ")[0] for message in messages] == ["/predict 200", "unmatched 404"]


def failing_client(error: Exception):
    app = Flask("failing")
    metrics = Metrics()
    tracing.register(app, metrics)
    errors.register(app, metrics)

    @app.get("/fail")
    def fail() -> str:
        raise error

    return app.test_client()


def test_the_unexpected_is_logged_with_its_trace_and_tells_the_client_nothing(caplog):
    response = failing_client(RuntimeError("secret")).get("/fail", headers={"X-Request-ID": "id-5"})
    document = check_problem(response, 500)
    assert "secret" not in response.get_data(as_text=True)
    assert document["request_id"] == "id-5"
    (entry,) = [entry for entry in caplog.records if entry.levelno == logging.ERROR]
    assert entry.exc_info[0] is RuntimeError


def test_what_the_client_did_wrong_is_no_error_of_ours(caplog):
    response = failing_client(SourceUnreachable("The URL cannot be fetched.")).get("/fail")
    check_problem(response, 422)
    assert not [entry for entry in caplog.records if entry.levelno >= logging.WARNING]


def test_every_row_of_the_table_can_be_reached():
    # A row after one of its bases would never count.
    for index, (kind, _, _) in enumerate(errors.TABLE):
        assert not any(issubclass(kind, earlier) for earlier, _, _ in errors.TABLE[:index]), kind
