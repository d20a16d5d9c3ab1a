import json
import logging
import traceback
from collections.abc import Callable, Iterator
from logging.config import dictConfig

import pytest

from gateway.logs.lines import (
    REQUEST_ID,
    JsonFormatter,
    PlainFormatter,
    WithoutClientData,
    WithoutLibraryText,
    configuration,
)
from tracing.spans import Span, entered

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
    assert "test_lines.py" in text
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
    [
        ("Invalid request from ip=10.9.8.7: Doe", ()),
        ("Error handling request %s %s", ("GET", "/doe")),
        ("Exception on %s [%s]", ("/doe", "GET")),  # Flask's
        ("Exception during worker exit:\n%s", ("ValueError: doe",)),
    ],
)
def test_lines_about_requests_are_cut_short(message, args):
    shortened = record(message, *args)
    assert WithoutClientData().filter(shortened)
    text = PlainFormatter().format(shortened)
    assert "(details withheld)" in text
    assert not any(part in text.lower() for part in ("doe", "10.9.8.7"))


@pytest.fixture
def configured() -> Iterator[Callable[[str, str], list[str]]]:
    """A function that configures the loggers with a level and a style, and returns the list of lines to come."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logger.level for name, logger in root.manager.loggerDict.items() if hasattr(logger, "level")}

    def configure(level: str, style: str) -> list[str]:
        lines: list[str] = []
        dictConfig(configuration(level, style))
        (handler,) = root.handlers
        assert isinstance(handler, logging.StreamHandler)
        handler.emit = lambda record: lines.append(handler.format(record))  # type: ignore[method-assign]
        return lines

    try:
        yield configure
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name in root.manager.loggerDict:
            logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))


@pytest.mark.parametrize("style", ["plain", "json"])
@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_our_own_loggers_alone_follow_the_level(configured, level, style):
    lines = configured(level, style)
    for name in ("gateway.http.errors", "brain_tumor.image", "stderr"):
        for kind in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger(name).log(kind, "a text")
    expected = 3 * {"debug": 4, "info": 3, "warning": 2, "error": 1}[level]
    assert len([line for line in lines if "a text" in line]) == expected
    del lines[:]
    for name in ("asyncio", "grpc._channel", "werkzeug", "a.new.library"):
        logging.getLogger(name).info("tag 315 holds %s", NAME)
    assert not lines


@pytest.mark.parametrize("name", ["PIL.TiffImagePlugin", "PIL.a_new_plugin", "urllib3.connectionpool"])
def test_libraries_that_log_what_is_of_an_image_or_a_url_are_silent(configured, name):
    lines = configured("debug", "json")
    logging.getLogger(name).critical("tag 315 holds %s", NAME)
    assert not lines


def test_a_library_s_record_has_its_place_without_its_text(configured):
    lines = configured("debug", "json")
    logging.getLogger("asyncio").error(f"Exception in callback f({NAME!r})", exc_info=failing())
    document = json.loads(lines[0])
    assert document["message"].startswith("test_lines.py:")
    assert document["level"] == "warning"  # whether the service has an error, the service itself says
    assert "ValueError" in document["trace"]
    assert NAME not in lines[0]


@pytest.mark.parametrize("name", ["gunicorn.error", "gateway.http.errors"])
def test_our_records_and_gunicorn_s_pass_unchanged(name):
    unchanged = record("Booting worker with pid: %s", 7)
    unchanged.name = name
    assert WithoutLibraryText().filter(unchanged)
    assert (unchanged.levelno, unchanged.getMessage()) == (logging.ERROR, "Booting worker with pid: 7")


class Traced(Span):
    """A span that is there as far as the log is concerned."""

    trace_id = "ab" * 16


def test_a_line_has_the_ids_of_the_request_and_of_its_trace():
    token = REQUEST_ID.set("r-1")
    try:
        with entered(Traced()):
            assert PlainFormatter().format(record("hello")).endswith(f" hello [r-1 {Traced.trace_id}]")
            document = json.loads(JsonFormatter().format(record("hello")))
        assert (document["request_id"], document["trace_id"]) == ("r-1", Traced.trace_id)
        assert PlainFormatter().format(record("hello")).endswith(" hello [r-1]")
        assert "trace_id" not in json.loads(JsonFormatter().format(record("hello")))
    finally:
        REQUEST_ID.reset(token)
    with entered(Traced()):
        assert PlainFormatter().format(record("hello")).endswith(f" hello [{Traced.trace_id}]")
