import asyncio
import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable

import pytest

from gateway.logs import hooks
from gateway.logs.lines import JsonFormatter

NAME = "doe"


@pytest.fixture
def installed(monkeypatch, caplog) -> Callable[[], tuple[str, str]]:
    """The hooks are in place; gives a function that returns the level and the JSON of the only record so far."""
    for owner, hook in (
        (warnings, "showwarning"),
        (sys, "excepthook"),
        (sys, "unraisablehook"),
        (threading, "excepthook"),
    ):
        monkeypatch.setattr(owner, hook, getattr(owner, hook))  # puts it back
    hooks.install()
    caplog.set_level(logging.DEBUG, "gateway")

    def logged() -> tuple[str, str]:
        (record,) = caplog.records
        text = JsonFormatter().format(record)
        assert NAME not in text
        return record.levelname, text

    return logged


def fail() -> None:
    raise ValueError(f"{NAME}, jane")


def test_warning(installed):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = hooks.log_warning
        warnings.warn(f"tag 315 holds {NAME}", RuntimeWarning, stacklevel=1)
    level, text = installed()
    assert level == "WARNING"
    assert f"RuntimeWarning at {__file__}:" in json.loads(text)["message"]


def test_end_of_a_thread(installed):
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    level, text = installed()
    assert level == "ERROR"
    assert "in fail" in text
    assert "ValueError" in text


def test_a_thread_may_end_itself(installed, caplog):
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()
    assert not caplog.records


def test_exception_that_python_ignores(installed):
    class Failing:
        def __del__(self) -> None:
            fail()

    Failing()
    level, text = installed()
    assert level == "WARNING"
    assert "ValueError" in text


def test_end_of_the_process(installed):
    try:
        fail()
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    level, text = installed()
    assert level == "CRITICAL"
    assert "in fail" in text


@pytest.mark.parametrize(
    ("error", "level"), [(ValueError(NAME), "ERROR"), (ConnectionResetError(NAME), "DEBUG"), (None, "ERROR")]
)
def test_exception_of_an_event_loop(installed, error, level):
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(hooks.log_loop_exception)
    loop.call_exception_handler({"message": f"Exception in callback f({NAME!r})", "exception": error})
    loop.close()
    assert installed()[0] == level
