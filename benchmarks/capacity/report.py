"""Forecasts as text for one load, and as a table for several."""

import math
from collections.abc import Callable, Sequence

from benchmarks.capacity.doubling import AFTER, WITHIN
from benchmarks.capacity.forecast import Forecast
from benchmarks.capacity.limits import Limit
from benchmarks.capacity.plan import DNS_OVER_UDP
from benchmarks.capacity.replications import Estimate, milliseconds, percent, short
from benchmarks.capacity.times import Times

_SHOWN = 0.5  # limits that are used less are left out


def text(forecast: Forecast, times: Times) -> str:
    """Everything about one load."""
    size, steady, doubling = forecast.size, forecast.steady, forecast.doubling
    lines = [
        f"{size.rate:,g} images/s, CPU ms a request: gateway {times.gateway_cpu:g}, model server {times.model_cpu:g}",
        "",
        f"  gateways         {size.gateways:,}",
        f"  model servers    {size.model_servers:,}",
        f"  requested        {size.cpus:,.1f} CPUs, {size.memory / 2**30:,.1f} GiB",
        f"  nodes            {'give --node-cpus and --node-memory' if size.nodes is None else f'{size.nodes:,}'}",
        f"  between tiers    {_bytes(size.traffic)}/s",
        f"  connections      {size.connections:,}, {100 * size.reconnecting:.3g} % of calls open a new one",
        f"  DNS response     {size.dns_answer:,} bytes, over {'UDP' if size.dns_answer <= DNS_OVER_UDP else 'TCP'}",
    ]
    if size.price is not None:
        lines.append(f"  price            {size.price:,.2f} a million images, for the nodes alone")
    lines += [
        "",
        f"  steady           p50 {milliseconds(steady.p50)}, p99 {milliseconds(steady.p99)}, "
        f"{percent(steady.failed)} fail",
        f"  load doubles     within {WITHIN:.0f} s: {percent(doubling.failed)} of the requests fail "
        f"({doubling.refused.mean:,.0f}), {doubling.waiting.mean:,.0f} wait at most; {_lag(doubling.lag)};",
        f"{'':19}then {doubling.gateways.mean:,.0f} gateways, {doubling.model_servers.mean:,.0f} model servers",
        "",
        "What breaks first:",
    ]
    shown = [limit for limit in forecast.limits if limit.used >= _SHOWN]
    lines += [line for limit in shown for line in _limit(limit, size.rate)]
    if not shown:
        lines.append("  nothing: no limit is used by more than half")
    return "\n".join(lines)


def table(forecasts: Sequence[Forecast]) -> str:
    """A row for each figure and a column for each load, in Markdown."""
    placed = any(forecast.size.nodes is not None for forecast in forecasts)
    priced = any(forecast.size.price is not None for forecast in forecasts)
    rows: list[tuple[str, Callable[[Forecast], str]]] = [
        ("gateways", lambda one: f"{one.size.gateways:,}"),
        ("model servers", lambda one: f"{one.size.model_servers:,}"),
        ("CPUs requested", lambda one: f"{one.size.cpus:,.0f}"),
        ("memory requested", lambda one: f"{one.size.memory / 2**30:,.0f} GiB"),
        *([("nodes", lambda one: f"{one.size.nodes:,}")] if placed else []),
        ("between the tiers", lambda one: f"{_bytes(one.size.traffic)}/s"),
        ("gRPC connections", lambda one: f"{one.size.connections:,}"),
        ("calls that connect first", lambda one: f"{short(100 * one.size.reconnecting)} %"),
        ("DNS response", lambda one: f"{_bytes(one.size.dns_answer)}"),
        *([("price of a million images", lambda one: f"{one.size.price:,.2f}")] if priced else []),
        ("p50", lambda one: milliseconds(one.steady.p50)),
        ("p99", lambda one: milliseconds(one.steady.p99)),
        ("fail", lambda one: percent(one.steady.failed)),
        ("load doubles: fail", lambda one: percent(one.doubling.failed)),
        ("load doubles: HPAs", lambda one: _lag(one.doubling.lag)),
    ]
    lines = [f"| images a second | {' | '.join(f'{one.size.rate:,g}' for one in forecasts)} |"]
    lines.append("| --- " * (len(forecasts) + 1) + "|")
    lines += [f"| {name} | {' | '.join(cell(one) for one in forecasts)} |" for name, cell in rows]
    return "\n".join(lines)


def breaking(forecast: Forecast) -> str:
    """The limits of a load in the order of the rates at which they are reached, in Markdown."""
    rate = forecast.size.rate
    reached = [(at, limit) for limit in forecast.limits if (at := limit.breaks_at(rate))]
    rows = [
        f"| {_rounded(at):,.0f} | {limit.what} | {limit.then} | {limit.change} |"
        for at, limit in sorted(reached, key=lambda entry: entry[0])
    ]
    return "\n".join([f"| reached at images/s | limit | then | change (for {rate:,g}/s) |", "| --- " * 4 + "|", *rows])


def _limit(limit: Limit, rate: float) -> list[str]:
    state = "exceeded" if limit.used > 1 else "near"
    at = limit.breaks_at(rate)
    return [
        f"- {limit.what}: {limit.value:,.4g} of {limit.limit:,.4g}, {state}"
        + (f" (reached at {at:,.3g} images/s)" if at else ""),
        f"  then: {limit.then}",
        f"  change: {limit.change}",
    ]


def _rounded(rate: float) -> float:
    return float(f"{rate:.2g}")


def _lag(value: Estimate) -> str:
    if value.mean == 0:
        return "follow in time"
    return f"follow in {value.mean:.0f} s" if math.isfinite(value.mean) else f"do not follow in {WITHIN + AFTER:.0f} s"


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
