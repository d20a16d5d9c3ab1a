"""From the samples of all rounds to one figure and one ratio for each server and column."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """One server in one round.

    Attributes:
        start: Seconds until the first response.
        median: Seconds of a lone client's response.
        p95: The same, 95th percentile.
        rate: Responses a second to several clients.
        cpu_alone: Seconds of CPU of all the server's processes for a response to a lone client.
        cpu_loaded: The same with several clients.
        memory: Bytes resident after the load.
        own_cpu: The load generator's seconds of CPU for a response to a lone client.
    """

    start: float
    median: float
    p95: float
    rate: float
    cpu_alone: float
    cpu_loaded: float
    memory: float
    own_cpu: float


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        key: In the JSON document, with its unit.
        title: In the table; ``{clients}`` stands for their number.
        value: From a sample to the number that is shown.
        digits: After the decimal point.
        more_is_better: Whether a ratio above 1 is a larger number, not a smaller one.
    """

    key: str
    title: str
    value: Callable[[Sample], float]
    digits: int = 0
    more_is_better: bool = False


COLUMNS = (
    Column("latency_ms", "latency of 1 client, ms", lambda sample: 1e3 * sample.median, 1),
    Column("latency_p95_ms", "its p95, ms", lambda sample: 1e3 * sample.p95, 1),
    Column("rate", "requests/s of {clients}", lambda sample: sample.rate, 1, more_is_better=True),
    Column("cpu_alone_ms", "CPU ms a request, 1 client", lambda sample: 1e3 * sample.cpu_alone, 1),
    Column("cpu_loaded_ms", "CPU ms, {clients} clients", lambda sample: 1e3 * sample.cpu_loaded, 1),
    Column("memory_mb", "resident, MB", lambda sample: sample.memory / 1e6),
    Column("start_s", "start, s", lambda sample: sample.start, 1),
)

Rounds = Sequence[Mapping[str, Sample]]  # of each round the samples, by the server's name


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies, between their neighbours in proportion (0 <= share <= 1)."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def figure(rounds: Rounds, name: str, column: Column) -> float | None:
    """The median over the rounds; None if no round has this server."""
    values = [column.value(samples[name]) for samples in rounds if name in samples]
    return statistics.median(values) if values else None


def ratio(rounds: Rounds, name: str, reference: str, column: Column) -> float | None:
    """How much better than the reference: the median of the ratios within each round; above 1 is better.

    Within a round both had the same machine, whatever else it did then. None if no round has both.
    """
    ratios = []
    for samples in rounds:
        if name in samples and reference in samples:
            one, other = column.value(samples[name]), column.value(samples[reference])
            if not column.more_is_better:
                one, other = other, one
            if other:
                ratios.append(one / other)
    return statistics.median(ratios) if ratios else None
