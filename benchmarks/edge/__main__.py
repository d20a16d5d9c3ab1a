"""What rude, crowding and hostile clients do to the gateway: ``python -m benchmarks.edge rude crowd``.

Each section prints a table, in Markdown:

- rude: clients that are lazy, slow, broken or greedy, beside polite ones
- trial: single clients of many kinds, and when the gateway ends whom
- crowd: 48 clients on kept connections who together want twice what the gateway can do
- overload: 1,000 uploads by 50 workers who wait; ten times the capacity, whatever becomes of the requests before
- fuzz: mutated requests, HTTP and images
- proxies: the crowd behind nginx and Caddy
- cpu: CPU milliseconds of a request, beside those of a bare WSGI gateway

Everything runs on this machine, in a network namespace without a way out.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.edge import cpu, crowding, fuzz, namespace, overload, proxies, rows, trial, workers
from benchmarks.edge.servers import gateway_of
from brain_tumor.processes import ROOT

SECTIONS = ("rude", "crowd", "overload", "trial", "proxies", "fuzz", "cpu")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sections", nargs="*", metavar="section", help="what to run; nothing runs all")
    options.add_argument("--rows", nargs="+", default=[], help="kinds of rude clients; nothing plays all")
    options.add_argument("--seconds", type=float, default=15, help="of traffic in each row (default: %(default)s)")
    options.add_argument("--fuzz", type=int, default=100_000, help="mutated requests (default: %(default)s)")
    options.add_argument("--seed", type=int, default=1, help="of the mutations (default: %(default)s)")
    options.add_argument("--checkout", type=Path, help="another checkout, whose gateway is measured")
    options.add_argument("--worker", help="another server with the application, of benchmarks/edge/workers.py")
    options.add_argument("--log", type=Path, help="keep the gateways' output in this file")
    arguments = options.parse_args()
    if unknown := set(arguments.sections) - set(SECTIONS):
        options.error(f"there is no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    if arguments.worker:
        workers.install()
    namespace.enter()
    sections = arguments.sections or SECTIONS
    command = gateway_of(arguments.checkout) if arguments.checkout else []
    command = workers.command(arguments.worker) if arguments.worker else command
    with tempfile.TemporaryDirectory() as folder:
        log = arguments.log or Path(folder) / "gateway.log"
        if "rude" in sections:
            with namespace.dead_host():
                rows.play(log, arguments.seconds, arguments.rows, command)
        if "trial" in sections:
            trial.play(log, command)
        if "crowd" in sections:
            crowding.play(log, arguments.seconds, command)
        if "overload" in sections:
            overload.play(log, arguments.seconds, command)
        if "proxies" in sections:
            proxies.play(log, arguments.seconds, Path(folder), command)
        if "fuzz" in sections:
            with namespace.dead_host():
                fuzz.play(log, arguments.fuzz, arguments.seed, ROOT / "runs" / "edge-fuzz", command)
        if "cpu" in sections:
            cpu.play(log, command)


if __name__ == "__main__":
    main()
