"""This project beside other servers, in one table: ``python -m benchmarks.peers`` (``make bench-peers``)."""

import argparse
import os
import platform
import sys
from pathlib import Path

from benchmarks.peers import report
from benchmarks.peers.agreement import compare
from benchmarks.peers.catalogue import CLASSIC, NAMES, PEERS
from benchmarks.peers.environments import Unavailable
from benchmarks.peers.networks import SIDES, Network
from benchmarks.peers.report import Result
from benchmarks.peers.rounds import Bench, Contender, alternate
from brain_tumor.atomic import write_json
from brain_tumor.processes import ROOT


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    options.add_argument("--model", choices=SIDES, default="xception", help="the network (default: %(default)s)")
    options.add_argument("--side", type=int, help="pixels of its images (default: 299, small and shipped 128)")
    options.add_argument("--rounds", type=_positive, default=5, help="of all servers (default: %(default)s)")
    options.add_argument("--clients", type=_positive, default=8, help="that ask at a time (default: %(default)s)")
    options.add_argument(
        "--seconds", type=float, default=5.0, help="of each measurement, two a round (default: %(default)s)"
    )
    options.add_argument(
        "--only", nargs="+", choices=NAMES, metavar="NAME", help=f"leave out others than: {', '.join(NAMES)}"
    )
    options.add_argument(
        "--folder",
        type=Path,
        default=ROOT / "runs" / "peers",
        help="keeps environments (7 GB) and networks for the next run, and the logs (default: runs/peers)",
    )
    options.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options.add_argument("--json", type=Path, metavar="FILE", help="also write all figures and samples there")
    return options


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def main() -> None:
    options = parser()
    arguments = options.parse_args()
    if not arguments.seconds > 0:
        options.error("--seconds must be above 0")
    folder = arguments.folder.resolve()
    side = arguments.side or SIDES[arguments.model]
    network = Network(arguments.model, side, folder / "networks" / f"{arguments.model}-{side}", folder / "environments")
    bench = Bench(network, [path.read_bytes() for path in sorted((ROOT / "examples").glob("*.jpg"))], folder / "logs")
    bench.logs.mkdir(parents=True, exist_ok=True)

    wanted = [peer for peer in PEERS if not arguments.only or peer.name in (CLASSIC, *arguments.only)]
    contenders, agreements, skipped = [], {}, {}
    expected = None
    for peer in wanted:  # the classic form is the first
        try:
            contender = Contender(peer, peer.prepare(network))
            found = bench.probabilities(contender)
            expected = expected or found
            agreements[peer.name] = compare(expected, found, peer.exact)
        except (Unavailable, ValueError) as error:
            skipped[peer.name] = str(error)
            print(f"{peer.name} is left out: {error}", file=sys.stderr, flush=True)
            if peer.name == CLASSIC:
                raise SystemExit("Without the classic form there is nothing to compare with.") from error
        else:
            print(f"{peer.name}: {agreements[peer.name]}", file=sys.stderr, flush=True)
            contenders.append(contender)

    rounds = list(alternate(bench, contenders, arguments.rounds, arguments.clients, arguments.seconds))
    result = Result(
        machine=machine(),
        network=f"{arguments.model} at {side}x{side}",
        clients=arguments.clients,
        seconds=arguments.seconds,
        peers=[contender.peer for contender in contenders],
        rounds=rounds,
        agreements=agreements,
        skipped=skipped,
    )
    if arguments.json:
        write_json(arguments.json, report.document(result))
    print(report.markdown(result) if arguments.markdown else report.text(result))


def machine() -> str:
    """The processor, how many cores this process may use, and the system."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.machine()
    return f"{name}, {len(os.sched_getaffinity(0))} cores, {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
