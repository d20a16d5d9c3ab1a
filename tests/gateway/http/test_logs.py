import json
import logging
import traceback
from logging.config import dictConfig

import pytest

from gateway.http.logs import REQUEST_ID, JsonFormatter, PlainFormatter, WithoutClientData, configuration

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
def test_a_traceback_has_frames_and_kinds_but_no_messages(formatter):
    text = formatter.format(record("failed", error=failing()))
    assert "KeyError" in text
    assert "ValueError" in text
    assert "test_logs.py" in text
    assert text.index("KeyError") < text.rindex("ValueError")
    assert NAME not in text


@pytest.mark.parametrize("linked_by", ["cause", "context", "neither"])
def test_a_traceback_without_messages_to_hide_is_python_s_own(linked_by):
    def fail() -> None:
        try:
            raise KeyError
        except KeyError as error:
            if linked_by == "cause":
                raise ValueError from error
            if linked_by == "context":
                raise ValueError  # noqa: B904 - the link that Python makes by itself
            raise ValueError from None

    with pytest.raises(ValueError) as raised:
        fail()
    text = PlainFormatter().formatException((ValueError, raised.value, raised.value.__traceback__))
    assert text + "\n" == "".join(traceback.format_exception(raised.value))


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
def test_gunicorn_s_lines_about_requests_are_cut_short(message, args):
    shortened = record(message, *args)
    assert WithoutClientData().filter(shortened)
    text = PlainFormatter().format(shortened)
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
