import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.canary import shares as shares_module
from gateway.canary.shares import LOOK_SECONDS, MAX_BYTES, ShareFile, Shares, SharesError, read_shares
from tests.gateway.fake_model_server import wait_for

KEYS = [f"client {number}" for number in range(2000)]


def chosen(share: float) -> set[str]:
    return {key for key in KEYS if Shares(share).is_canary_s_turn(key)}


def test_a_key_has_its_place_for_all_times():
    # A gateway of another version must not send everybody elsewhere.
    assert [key for key in KEYS[:20] if Shares(30).is_canary_s_turn(key)] == ["client 2", "client 9", "client 14"]


def test_a_larger_share_only_adds():
    shares = [chosen(share) for share in (0, 0.5, 5, 20, 50, 99, 100)]
    assert shares[0] == set()
    assert shares[-1] == set(KEYS)
    for smaller, larger in pairwise(shares):
        assert smaller < larger


@pytest.mark.parametrize("share", [5, 20, 50])
def test_keys_are_spread_evenly(share):
    assert len(chosen(share)) / len(KEYS) * 100 == pytest.approx(share, abs=4)  # 3.6 standard deviations or more


def test_without_a_key_each_request_is_drawn(monkeypatch):
    drawn = iter([0.0, 0.0999, 0.1, 0.5, 0.9999])
    monkeypatch.setattr(shares_module.random, "random", lambda: next(drawn))
    assert [Shares(10).is_canary_s_turn("") for _ in range(5)] == [True, True, False, False, False]


@pytest.mark.parametrize(("percent", "expected"), [(0, False), (100, True)])
def test_none_and_all(percent, expected):
    assert {Shares(percent, percent).is_canary_s_turn("") for _ in range(1000)} == {expected}
    assert {Shares(percent, percent).is_shadowed() for _ in range(1000)} == {expected}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", Shares()),
        ("share = 10", Shares(10)),
        ("shadow = 0.5 # percent", Shares(0, 0.5)),
        ("share = 100\nshadow = 0", Shares(100)),
    ],
)
def test_files_that_can_be_used(content, expected):
    assert read_shares(content.encode()) == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("share = 101", "share must be a number of percent from 0 to 100"),
        ("share = -0.1", "share must be"),
        ("share = nan", "share must be"),
        ("shadow = true", "shadow must be"),
        ('share = "10"', "share must be"),
        ("share = 10\nshadows = 5", "something else than share and shadow"),
        ("[share]\nshadow = 1", "share must be"),
        ("share: 10", "no valid TOML"),
        ("[" * 5000, "no valid TOML"),
        (b"share = 1 # \xff", "no valid TOML"),
    ],
    ids=str,
)
def test_files_that_cannot(content, said):
    with pytest.raises(SharesError, match=said):
        read_shares(content if isinstance(content, bytes) else content.encode())


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path, caplog) -> Path:
    caplog.set_level(logging.INFO)
    return tmp_path / "canary.toml"


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    messages = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return messages


def test_a_file_comes_changes_and_goes(path, clock, caplog):
    file = ShareFile(path, clock)
    assert told(caplog) == [f"the canary gets no requests: there is no file {path}"]
    for content, expected, message in (
        ("share = 10", Shares(10), "the canary answers 10 % of the requests, and gets 0 % of the others too"),
        (
            "share = 2.5\nshadow = 50",
            Shares(2.5, 50),
            "the canary answers 2.5 % of the requests, and gets 50 % of the others too",
        ),
        (None, Shares(), f"the canary gets no requests: there is no file {path}"),
    ):
        before = file.shares()
        if content is None:
            path.unlink()
        else:
            path.write_text(content)
        clock.now += LOOK_SECONDS / 2
        assert file.shares() == before  # it is not looked at so often
        clock.now += LOOK_SECONDS / 2
        assert file.shares() == expected
        clock.now += LOOK_SECONDS
        assert file.shares() == expected
        assert told(caplog) == [message]


def lose_its_form(path: Path) -> None:
    path.write_text("share = 50 %")


def say_too_much(path: Path) -> None:
    path.write_text("share = 50\nurgent = true")


def become_too_large(path: Path) -> None:
    path.write_text("share = 50 " + "#" * MAX_BYTES)


def become_a_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


@pytest.mark.parametrize("go_wrong", [lose_its_form, say_too_much, become_too_large, become_a_folder])
def test_a_file_that_cannot_be_used_takes_the_canary_out(path, clock, caplog, go_wrong):
    path.write_text("share = 10\nshadow = 10")
    file = ShareFile(path, clock)
    assert file.shares() == Shares(10, 10)
    told(caplog)
    go_wrong(path)
    for _ in range(3):
        clock.now += LOOK_SECONDS
        assert file.shares() == Shares()
    (message,) = told(caplog)
    assert message.startswith(f"the canary gets no requests: {path} cannot be used: ")
    if path.is_dir():
        path.rmdir()
    path.write_text("share = 10\nshadow = 10")
    clock.now += LOOK_SECONDS
    assert file.shares() == Shares(10, 10)


@pytest.mark.parametrize("go_wrong", [lose_its_form, become_a_folder])
def test_a_start_with_a_file_that_cannot_be_used(path, go_wrong, caplog):
    go_wrong(path)
    assert ShareFile(path).shares() == Shares()
    assert len(told(caplog)) == 1


def test_a_slow_disk_holds_up_one_request_at_a_time(path, clock, monkeypatch):
    path.write_text("share = 10")
    file = ShareFile(path, clock)
    reading, go_on = threading.Event(), threading.Event()

    def read(path):
        reading.set()
        assert go_on.wait(20)
        return b"share = 20"

    monkeypatch.setattr(shares_module, "_read", read)
    clock.now += LOOK_SECONDS
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(file.shares)
        wait_for(reading.is_set)
        clock.now += LOOK_SECONDS
        assert file.shares() == Shares(10)
        go_on.set()
        assert slow.result(20) == Shares(20)
