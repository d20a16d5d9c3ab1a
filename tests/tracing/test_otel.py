"""Spans by OpenTelemetry's SDK, as a collector gets them."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest

from tests.tracing.collector import CLIENT, INTERNAL, SERVER, Collector, traced
from tracing.otel import OtelTracing
from tracing.spans import NO_SPAN, Tracing, current, span

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
Start = Callable[..., Tracing]


@pytest.fixture
def begin(receiver: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """A function that starts traces with more variables."""
    with ExitStack() as stack:

        def make(**variables: str) -> Tracing:
            return stack.enter_context(traced(receiver, monkeypatch, **variables))

        yield make


@pytest.fixture
def tracing(begin: Start) -> Tracing:
    return begin()


def test_spans_within_each_other(receiver: Collector, tracing: Tracing) -> None:
    with tracing.serve("request", {}.get) as request:
        assert current() is request
        with span("stage") as stage:
            stage.set("rows", 3)
            stage.event("happened", {"how": "well"})
            with span("call", calls=True):
                pass
    assert current() is NO_SPAN
    first, second, third = (receiver.one(name) for name in ("request", "stage", "call"))
    assert [found.kind for found in (first, second, third)] == [SERVER, INTERNAL, CLIENT]
    assert [found.parent_id for found in (first, second, third)] == ["", first.span_id, second.span_id]
    assert {found.trace_id for found in (first, second, third)} == {request.trace_id}
    assert second.attributes == {"rows": 3}
    assert second.events == [("happened", {"how": "well"})]
    assert not first.failed


def test_the_parent_comes_with_the_request_and_goes_with_the_next(receiver: Collector, tracing: Tracing) -> None:
    with tracing.serve("request", {**SAMPLED, "tracestate": "vendor=1,other=2"}.get) as request:
        headers = dict(request.headers or ())
    received = receiver.one("request")
    assert (received.trace_id, received.parent_id) == (TRACE, PARENT)
    assert received.trace_state == "vendor=1,other=2"
    assert headers == {"traceparent": f"00-{TRACE}-{received.span_id}-01", "tracestate": "vendor=1,other=2"}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "nonsense",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01",
        "0" * 100_000,
        "\x00\n\xff",
    ],
    ids=range(11),
)
def test_a_malformed_parent_is_ignored(value: str, receiver: Collector, tracing: Tracing) -> None:
    with tracing.serve("request", {"traceparent": value, "tracestate": "vendor=1"}.get) as request:
        assert request.trace_id != TRACE
    received = receiver.one("request")
    assert (received.parent_id, received.trace_state) == ("", "")


@pytest.mark.parametrize("state", ["no pair", "a=1,a=2", "a=" + "x" * 600, "\x00=1"])
def test_a_malformed_state_is_left_out(state: str, receiver: Collector, tracing: Tracing) -> None:
    with tracing.serve("request", {**SAMPLED, "tracestate": state}.get) as request:
        assert dict(request.headers or ()).keys() == {"traceparent"}
    assert receiver.one("request").trace_state == ""


def test_what_the_caller_does_not_sample_is_passed_on_and_not_sent(receiver: Collector, tracing: Tracing) -> None:
    with tracing.serve("unsampled", {"traceparent": f"00-{TRACE}-{PARENT}-00"}.get) as request:
        assert request.trace_id == TRACE
        (name, value), *others = request.headers or ()
        assert (name, others) == ("traceparent", [])
        assert value.startswith(f"00-{TRACE}-") and value.endswith("-00")
        with span("stage", calls=True) as stage:
            stage.set("rows", 3)
            stage.event("happened")
            stage.fail("reason")
            stage.add_child("wait", 1, 2)
            assert (stage.trace_id, stage.headers) == (TRACE, request.headers)
            assert current() is stage
    assert current() is NO_SPAN
    with tracing.serve("sampled", {}.get):
        pass
    receiver.wait_for("sampled")
    assert len(receiver.spans) == 1


def test_the_sampler_is_the_environment_s(receiver: Collector, begin: Start) -> None:
    tracing = begin(OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0")
    with tracing.serve("mine", {}.get):
        pass
    with tracing.serve("the caller's", SAMPLED.get):
        pass
    receiver.wait_for("the caller's")
    assert not receiver.named("mine")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {"service.name": "a-service", "service.version": "1.2"}),
        ({"OTEL_SERVICE_NAME": "mine"}, {"service.name": "mine", "service.version": "1.2"}),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "service.version=7,k8s.pod.name=a-1"},
            {"service.name": "a-service", "service.version": "7", "k8s.pod.name": "a-1"},
        ),
    ],
)
def test_who_sends(
    variables: Mapping[str, str], expected: Mapping[str, str], receiver: Collector, begin: Start
) -> None:
    with begin(**variables).serve("request", {}.get):
        pass
    assert expected.items() <= receiver.one("request").resource.items()


def test_an_exception_fails_its_span_without_its_message(receiver: Collector, tracing: Tracing) -> None:
    with pytest.raises(ValueError), tracing.serve("request", {}.get), span("stage"):
        raise ValueError("patient Doe")
    stage = receiver.one("stage")
    assert stage.failed
    assert stage.attributes == {"error.type": "ValueError"}
    assert receiver.one("request").failed
    assert "Doe" not in receiver.text


def test_a_reason_that_was_given_before_the_exception_stays(receiver: Collector, tracing: Tracing) -> None:
    with pytest.raises(ValueError), tracing.serve("request", {}.get) as request:
        request.fail("UNAVAILABLE")
        raise ValueError
    assert receiver.one("request").attributes == {"error.type": "UNAVAILABLE"}


def test_times_that_are_over(receiver: Collector, tracing: Tracing) -> None:
    now = time.time_ns()
    with tracing.serve("request", {}.get, now - 1000) as request:
        request.add_child("wait", now - 900, now - 500, {"calls": 2})
    assert receiver.one("request").started == now - 1000
    wait = receiver.one("wait")
    assert (wait.started, wait.ended, wait.attributes) == (now - 900, now - 500, {"calls": 2})
    assert wait.parent_id == receiver.one("request").span_id


def test_each_thread_has_its_own_current_span(tracing: Tracing) -> None:
    seen = []
    with tracing.serve("request", {}.get):
        thread = threading.Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()
    assert seen == [NO_SPAN]


def test_closing_sends_what_is_left(receiver: Collector, begin: Start) -> None:
    tracing = begin(OTEL_BSP_SCHEDULE_DELAY="600000")
    with tracing.serve("request", {}.get):
        pass
    assert not receiver.spans
    tracing.close()
    assert len(receiver.named("request")) == 1


def test_closing_waits_for_no_collector_that_hangs(
    receiver: Collector, begin: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OtelTracing, "closing_seconds", 0.1)
    receiver.go.clear()
    tracing = begin()
    with tracing.serve("request", {}.get):
        pass
    tracing.close()  # the collector holds the call as long as the test lasts
    assert not receiver.spans
