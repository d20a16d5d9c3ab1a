"""How many pods, how much money: ``python -m benchmarks.capacity --rate 20000 --deadline 0.5 --gateway-cpu 4 ...``."""

import argparse

from benchmarks.capacity import manifests, options, report, steps
from benchmarks.capacity.forecast import forecast
from benchmarks.capacity.times import Times
from brain_tumor.processes import SHIPPED_MODEL


def main() -> None:
    """Do what the command line asks for."""
    parser = options.parser()
    arguments = parser.parse_args()
    measured = None
    if arguments.measure or arguments.validate:
        from benchmarks.capacity.measure import measure  # needs what the tiers need

        measured = measure(arguments.log, arguments.model or SHIPPED_MODEL)
    try:
        if arguments.cluster:
            from benchmarks.capacity.cluster import validate_on_cluster

            validate_on_cluster(arguments.rate[0], options.delays(arguments), options.effort(arguments).seeds)
            return
        times = options.service_times(arguments, measured)
        tiers, node = options.tiers(arguments), options.node(arguments)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if arguments.save:
        times.write(arguments.save)
    if measured:
        print(f"measured here: {measured}", flush=True)
    effort = options.effort(arguments)
    if arguments.validate:
        from benchmarks.capacity.validate import validate

        validate(times, arguments.deadline, effort.seconds, arguments.replications, arguments.log)
        return
    if arguments.step:
        try:
            print(_steps(arguments, times))
        except (OSError, ValueError) as error:
            parser.error(str(error))
        return
    forecasts = []
    for rate in arguments.rate:
        try:
            forecasts.append(
                forecast(
                    rate,
                    arguments.deadline,
                    times,
                    tiers,
                    node,
                    arguments.image_bytes,
                    arguments.cores,
                    options.delays(arguments),
                    effort,
                )
            )
        except ValueError as error:
            parser.error(str(error))
        print(report.text(forecasts[-1], times), end="\n\n", flush=True)
    if len(forecasts) > 1:
        print(report.table(forecasts), end="\n\n")
        print(report.breaking(max(forecasts, key=lambda one: one.size.rate)))


def _steps(arguments: argparse.Namespace, times: Times) -> str:
    today = manifests.tiers(manifests.base())
    if arguments.manifests:
        ways = steps.ways(today, str(arguments.manifests), options.tiers(arguments))
    else:
        ways = steps.ways(today, "CPU and requests at hand", manifests.tiers(manifests.built("scale-by-waiting")))
    delays, seeds = options.delays(arguments), options.effort(arguments).seeds
    found = [
        steps.step(way, arguments.rate[0], factor, times, arguments.deadline, arguments.cores, delays, seeds)
        for factor in arguments.step
        for way in ways
    ]
    return steps.table(found)


if __name__ == "__main__":
    main()
