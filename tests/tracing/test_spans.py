from tracing.spans import NO_SPAN, NO_TRACING, current, span


def test_without_traces_everything_is_taken_and_nothing_is_there():
    header = {"traceparent": f"00-{'ab' * 16}-{'12' * 8}-01"}.get
    with NO_TRACING.serve("request", header) as first, span("stage", calls=True) as second:
        second.set("a", 1)
        second.event("b", {"c": 2})
        second.fail("d")
        second.add_child("e", 1, 2)
        assert current() is first is second is NO_SPAN
    assert (NO_SPAN.trace_id, NO_SPAN.headers) == ("", None)
    assert not NO_TRACING.is_on
    NO_TRACING.close()
