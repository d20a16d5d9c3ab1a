"""The command line."""

import argparse
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from benchmarks.capacity import manifests, times
from benchmarks.capacity.manifests import Tier
from benchmarks.capacity.packing import MOST_PODS, Node
from benchmarks.capacity.scaling import Delays
from benchmarks.capacity.times import Times
from gateway.model.lookup import MAX_AGE

_GIVEN = {  # options of single service times, with what stands for those that nothing is known of
    "gateway_cpu": (None, "CPU ms of a gateway for a request that it serves"),
    "refusal_cpu": (None, "CPU ms of a gateway for a request that it refuses (default: a quarter of the other)"),
    "model_cpu": (None, "CPU ms of a model server for a call"),
    "model_variation": (0.1, "coefficient of variation of that (default: %(const)s)"),
    "network": (0.5, "ms from a gateway to a model server and back (default: %(const)s)"),
    "connection_cpu": (1.2, "CPU ms of both ends for a new gRPC connection (default: %(const)s)"),
    "connection_memory": (40_000.0, "bytes of a gateway for each gRPC connection (default: %(const)s)"),
}
_REFUSAL = 0.25  # of a request that is served


@dataclass(frozen=True)
class Effort:
    """How much is simulated.

    Attributes:
        requests: In each simulation, about; of a large service a part.
        seconds: Of steady load.
        seeds: One for each replication.
    """

    requests: float
    seconds: float
    seeds: range


def parser() -> argparse.ArgumentParser:
    """Everything that can be asked for."""
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity",
        description="How many pods, nodes and how much money a load needs, and what breaks first. Service times are "
        "given, read from a file, or measured (--measure). All CPU times are of one core.",
    )
    options.add_argument(
        "--rate", type=_positive, nargs="+", default=[100.0], help="images a second; several make a table"
    )
    options.add_argument(
        "--deadline", type=_positive, default=10.0, help="GATEWAY_DEADLINE_SECONDS (default: %(default)g)"
    )
    service = options.add_argument_group("service times")
    service.add_argument("--times", type=Path, help="a JSON file of them, which --save writes")
    service.add_argument("--measure", action="store_true", help="measure them here; what is given besides counts more")
    service.add_argument("--model", type=Path, help="folder of the version folders of the model that is measured")
    service.add_argument("--save", type=Path, help="write them into this file")
    for name, (default, meaning) in _GIVEN.items():
        text = meaning.replace("%(const)s", f"{default:g}" if default else "")
        service.add_argument(f"--{name.replace('_', '-')}", type=_number, help=text)
    pods = options.add_argument_group("pods and nodes")
    pods.add_argument(
        "--manifests", type=Path, help="what kubectl kustomize OVERLAY prints (default: kube-config/base)"
    )
    pods.add_argument(
        "--cores",
        choices=("request", "limit"),
        default="request",
        help="the CPU that pods get: their request, as on full nodes, or their limit (default: %(default)s)",
    )
    pods.add_argument(
        "--image-bytes", type=_positive, default=299 * 299 * 3, help="between the tiers (default: %(default)d)"
    )
    pods.add_argument("--node-cpus", type=_positive, help="CPUs of a node that pods may request; without it, no nodes")
    pods.add_argument("--node-memory", type=manifests.quantity, help="memory of it, such as 60Gi")
    pods.add_argument("--node-pods", type=int, default=MOST_PODS, help="pods that it may run (default: %(default)s)")
    pods.add_argument(
        "--node-price", type=_number, help="of a node for an hour, in your currency; without it, no price"
    )
    scaling = options.add_argument_group("what keeps the HPAs back, in seconds")
    scaling.add_argument(
        "--pod-start", type=_number, default=15.0, help="until a new pod is ready (default: %(default)g)"
    )
    scaling.add_argument(
        "--metrics-interval",
        type=_positive,
        default=15.0,
        help="between two readings of metrics-server (default: %(default)g)",
    )
    scaling.add_argument("--metrics-age", type=_number, default=5.0, help="age of a reading (default: %(default)g)")
    scaling.add_argument(
        "--dns-cache",
        type=_number,
        default=0.0,
        help="that DNS keeps the model servers' addresses (default: %(default)g)",
    )
    scaling.add_argument(
        "--scrape-interval",
        type=_positive,
        default=15.0,
        help="between two scrapes of a gateway by Prometheus (default: %(default)g)",
    )
    effort = options.add_argument_group("simulation")
    effort.add_argument("--requests", type=_positive, default=100_000, help="in each, about (default: %(default)g)")
    effort.add_argument("--seconds", type=_positive, default=60.0, help="of steady load (default: %(default)g)")
    effort.add_argument(
        "--replications", type=int, default=3, help="from which intervals are made (default: %(default)s)"
    )
    effort.add_argument("--seed", type=int, default=1, help="of the first replication (default: %(default)s)")
    options.add_argument(
        "--step",
        type=_positive,
        nargs="+",
        metavar="FACTOR",
        help="in place of a plan: the load is at once so many times what it was; how the HPAs of kube-config/base "
        "follow, and those with the component scale-by-waiting, or of --manifests",
    )
    reality = options.add_argument_group("comparison with reality, in place of a plan")
    reality.add_argument("--validate", action="store_true", help="predict and measure both tiers as processes here")
    reality.add_argument(
        "--cluster", action="store_true", help="predict and measure on the cluster that KUBECONFIG names"
    )
    options.add_argument(
        "--log", type=Path, default=Path("/dev/null"), help="takes the output of processes that are started"
    )
    return options


def tiers(arguments: argparse.Namespace) -> tuple[Tier, Tier]:
    """The sizes of pods and the HPAs.

    Raises:
        OSError: The file cannot be read.
        ValueError: It does not say what both tiers are.
    """
    if arguments.manifests:
        try:
            objects = [one for one in yaml.safe_load_all(arguments.manifests.read_text()) if isinstance(one, dict)]
        except yaml.YAMLError:
            raise ValueError(f"{arguments.manifests} is no YAML") from None
        return manifests.tiers(objects)
    return manifests.tiers(manifests.base())


def node(arguments: argparse.Namespace) -> Node | None:
    """The nodes, if they are given.

    Raises:
        ValueError: Only a part of them is given.
    """
    if arguments.node_cpus is None:
        if arguments.node_price is not None:
            raise ValueError("--node-price needs --node-cpus and --node-memory")
        return None
    if arguments.node_memory is None:
        raise ValueError("--node-cpus needs --node-memory")
    return Node(arguments.node_cpus, arguments.node_memory, arguments.node_price, arguments.node_pods)


def service_times(arguments: argparse.Namespace, measured: Times | None) -> Times:
    """What is given, then what the file has, then what was measured.

    Raises:
        OSError: The file cannot be read.
        ValueError: The times of a tier are unknown, or a number is wrong.
    """
    known: dict[str, Any] = vars(measured).copy() if measured else {}
    known |= times.read(arguments.times) if arguments.times else {}
    known |= {name: value for name in _GIVEN if (value := getattr(arguments, name)) is not None}
    if not known.keys() >= {"gateway_cpu", "model_cpu"}:
        raise ValueError("give --gateway-cpu and --model-cpu, or --times, or --measure")
    known.setdefault("refusal_cpu", _REFUSAL * known["gateway_cpu"])
    for name, (default, _) in _GIVEN.items():
        known.setdefault(name, default)
    return Times(**{field.name: known[field.name] for field in fields(Times)})


def delays(arguments: argparse.Namespace) -> Delays:
    """What keeps the HPAs back."""
    return Delays(
        arguments.pod_start,
        arguments.metrics_interval,
        arguments.metrics_age,
        MAX_AGE + arguments.dns_cache,
        arguments.scrape_interval,
    )


def effort(arguments: argparse.Namespace) -> Effort:
    """How much is simulated."""
    seeds = range(arguments.seed, arguments.seed + arguments.replications)
    return Effort(arguments.requests, arguments.seconds, seeds)


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value
