"""What a run found: a table for people, as text or Markdown, and a JSON document for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.peers import environments
from benchmarks.peers.agreement import Agreement
from benchmarks.peers.catalogue import CLASSIC, Peer
from benchmarks.peers.summary import COLUMNS, Column, Rounds, figure, ratio

_MEANING = (
    "In brackets: how much better than the classic form, above 1 is better; the median of the ratios within each "
    "round. The other figures are medians over the rounds too. CPU is of all the server's processes. Resident is the "
    "sum of their proportional set sizes (PSS), which counts a page that they share once. Start is until the first "
    "prediction, with the files in the page cache."
)


@dataclass(frozen=True)
class Result:
    """A whole run.

    Attributes:
        machine: What it ran on.
        network: Which network, and the size of its images.
        clients: How many asked at a time.
        seconds: Of each measurement.
        peers: Who was measured.
        rounds: The samples.
        agreements: How far each is from the classic form, by name.
        skipped: Why others were not measured, by name.
    """

    machine: str
    network: str
    clients: int
    seconds: float
    peers: Sequence[Peer]
    rounds: Rounds
    agreements: Mapping[str, Agreement]
    skipped: Mapping[str, str]

    def ratio(self, peer: Peer, column: Column) -> float | None:
        """As ``summary.ratio``; None for a server that does not agree."""
        if not self.agreements[peer.name].holds:
            return None
        return ratio(self.rounds, peer.name, CLASSIC, column)


def table(result: Result) -> list[list[str]]:
    """The rows of the table, its heading first."""
    rows = [["", *(column.title.format(clients=result.clients) for column in COLUMNS)]]
    for peer in result.peers:
        rows.append([peer.title, *(_cell(result, peer, column) for column in COLUMNS)])
    return rows


def _cell(result: Result, peer: Peer, column: Column) -> str:
    value, better = figure(result.rounds, peer.name, column), result.ratio(peer, column)
    if value is None:
        return "-"
    text = f"{value:,.{column.digits}f}"
    return text if better is None else f"{text} ({better:.2f})"


def text(result: Result) -> str:
    """For a terminal."""
    rows = table(result)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [
        "  ".join(cell.ljust(width) if not place else cell.rjust(width) for place, (cell, width) in enumerate(cells))
        for cells in (list(zip(row, widths, strict=True)) for row in rows)
    ]
    return "\n".join([*aligned, "", *notes(result)])


def markdown(result: Result) -> str:
    """For a document."""
    heading, *rows = ["| " + " | ".join(row).strip() + " |" for row in table(result)]
    rule = "|" + " --- |" * (len(COLUMNS) + 1)
    return "\n".join([heading, rule, *rows, "", *(f"- {note}" for note in notes(result))])


def notes(result: Result) -> list[str]:
    """What a reader must know beside the table, a line each."""
    own = [1e3 * samples[name].own_cpu for samples in result.rounds for name in samples]
    lines = [
        f"{result.network}; {result.machine}; {len(result.rounds)} rounds, {result.seconds:g} s for each measurement.",
        _MEANING,
    ]
    if own:
        lines.append(f"The load generator took {max(own):.2f} ms of CPU a request at most, on the same cores.")
    for peer in result.peers:
        packages = f" ({environments.chosen(peer.environment)})" if peer.environment else ""
        lines.append(f"{peer.title}{packages}: {peer.settings}; {result.agreements[peer.name]}.")
    for peer in result.peers:
        failed = sum(peer.name not in samples for samples in result.rounds)
        if failed:
            lines.append(f"{peer.title} failed in {failed} of {len(result.rounds)} rounds, which do not count for it.")
    lines += [f"Not measured: {name}: {why}." for name, why in result.skipped.items()]
    return lines


def document(result: Result) -> dict[str, Any]:
    """For programs: figures, ratios and every sample."""
    servers = {}
    for peer in result.peers:
        agreement = result.agreements[peer.name]
        servers[peer.name] = {
            "title": peer.title,
            "settings": peer.settings,
            "difference": agreement.difference,
            "agrees": agreement.holds,
            "figures": {column.key: figure(result.rounds, peer.name, column) for column in COLUMNS},
            "ratios": {column.key: result.ratio(peer, column) for column in COLUMNS},
            "samples": [asdict(samples[peer.name]) for samples in result.rounds if peer.name in samples],
        }
    return {
        "machine": result.machine,
        "network": result.network,
        "clients": result.clients,
        "seconds": result.seconds,
        "servers": servers,
        "skipped": dict(result.skipped),
    }
