import pytest

from gateway.deadline import ClientLeft, Deadline, DeadlineExceeded


def test_the_time_that_is_left():
    deadline = Deadline(60)
    assert 59 < deadline.remaining() <= 60
    assert not deadline.passed
    over = Deadline(-1)
    assert over.passed
    with pytest.raises(DeadlineExceeded):
        over.remaining()


def test_a_client_that_leaves_ends_what_waits():
    deadline = Deadline(60)
    told = []
    with deadline.on_cancel(lambda: told.append("done")):
        pass
    with deadline.on_cancel(lambda: told.append("waits")):
        deadline.cancel()
    with deadline.on_cancel(lambda: told.append("comes later")):
        pass
    assert told == ["waits", "comes later"]
    assert deadline.cancelled
    with pytest.raises(ClientLeft):
        deadline.remaining()
