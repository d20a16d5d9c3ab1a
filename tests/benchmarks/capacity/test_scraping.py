"""What Prometheus knows of the gateways is as old as its last scrapes."""

import numpy as np
import pytest

from benchmarks.capacity.loop import Loop
from benchmarks.capacity.scraping import Scrapes

INTERVAL = 15.0


class FakeGateway:
    def __init__(self, at_hand: int) -> None:
        self.at_hand = at_hand


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def gateways() -> list[FakeGateway]:
    return [FakeGateway(3), FakeGateway(4)]


@pytest.fixture
def scrapes(loop: Loop, gateways: list[FakeGateway]) -> Scrapes:
    return Scrapes(loop, lambda: gateways, INTERVAL, np.random.default_rng(0))


def test_nothing_is_known_before_the_first_scrape(scrapes: Scrapes) -> None:
    assert scrapes.at_hand() is None


def test_each_gateway_is_scraped_once_in_an_interval(scrapes: Scrapes, loop: Loop, gateways: list[FakeGateway]) -> None:
    loop.run(INTERVAL + 1)
    assert scrapes.at_hand() == 7
    for gateway in gateways:
        gateway.at_hand = 10
    seen = set()
    for second in range(int(INTERVAL) + 1):
        loop.run(INTERVAL + 1 + second)
        seen.add(scrapes.at_hand())
    assert seen in ({7, 13, 20}, {7, 14, 20})
    assert scrapes.at_hand() == 20


def test_a_gateway_that_has_gone_is_no_longer_known(scrapes: Scrapes, loop: Loop, gateways: list[FakeGateway]) -> None:
    loop.run(INTERVAL + 1)
    gone = gateways.pop()
    assert scrapes.at_hand() == 3
    gateways.append(FakeGateway(50))
    assert scrapes.at_hand() == 3
    loop.run(2 * INTERVAL + 2)
    assert scrapes.at_hand() == 53
    gateways[:] = [gone]
    assert scrapes.at_hand() == 4
    gateways.clear()
    assert scrapes.at_hand() is None
