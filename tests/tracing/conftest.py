from collections.abc import Iterator

import pytest

from tests.tracing.collector import Collector, collector


@pytest.fixture
def receiver() -> Iterator[Collector]:
    with collector() as running:
        yield running
