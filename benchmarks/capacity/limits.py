"""What breaks first: each limit, how much of it a size uses, and what to change there."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.capacity.manifests import Policy, Tier
from benchmarks.capacity.plan import Size
from benchmarks.capacity.times import Times
from gateway.model.replicas import MISSES
from gateway.model.usual_time import SHORTEST
from gateway.settings import Settings

_DNS_TCP = 65_535  # bytes: RFC 1035, 4.2.2
# https://kubernetes.io/docs/setup/best-practices/cluster-large/
_CLUSTER_PODS, _CLUSTER_NODES = 150_000, 5_000
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html (adjustable)
_LOAD_BALANCER_TARGETS = 1_000
# Bytes of a gateway under load with OpenCV, and of a decoded pixel: kube-config/base/gateway/deployment.yaml.
_GATEWAY_MEMORY, _PIXEL = 180e6, 18
# Bounds of our own.
_CONNECTING = 0.05  # of a gateway's CPU may be for new connections
_NOTICED = 60.0  # seconds, after which the liveness probe ends a model server that hangs
_SHRINKING = 3600.0  # seconds until half of the pods are gone, when half of the load is
FAILED = 0.01  # the share of requests that may be refused or late


@dataclass(frozen=True)
class Limit:
    """A limit, and how much of it is used.

    Attributes:
        what: What is limited.
        value: What is needed of it.
        limit: What there is of it.
        grows: Whether ``used`` grows in proportion to the rate.
        then: What happens above it.
        change: What to change.
    """

    what: str
    value: float
    limit: float
    grows: bool
    then: str
    change: str

    @property
    def used(self) -> float:
        """1 is all."""
        return self.value / self.limit if self.limit > 0 else math.inf

    def breaks_at(self, rate: float) -> float | None:
        """The rate at which all is used, if ``used`` is so much of it at ``rate``; None if no rate matters."""
        return rate / self.used if self.grows and self.used else None


def limits(size: Size, times: Times, tiers: tuple[Tier, Tier], deadline: float, age: float) -> list[Limit]:
    """All limits, the most used first.

    Args:
        size: The service.
        times: What a request costs.
        tiers: The gateway and the model server.
        deadline: Seconds for a response.
        age: Seconds after which a model server ends a connection.
    """
    found = [
        *_replicas(size, tiers),
        *_connections(size, times, tiers, age),
        *_cluster(size),
        *_faults(size, deadline, times),
    ]
    return sorted(found, key=lambda limit: limit.used, reverse=True)


def _replicas(size: Size, tiers: tuple[Tier, Tier]) -> Iterator[Limit]:
    for tier, count in zip(tiers, (size.gateways, size.model_servers), strict=True):
        yield Limit(
            f"maxReplicas of the {tier.name}'s HPA",
            count,
            tier.autoscaling.most,
            True,
            "requests beyond that are refused",
            f"set maxReplicas to {2 * count} or more, so that the load may double",
        )
        halved = count / 2
        seconds = max(policy.period for policy in tier.autoscaling.down.policies) * halved / _removed(tier, halved)
        yield Limit(
            f"seconds until the {tier.name}'s HPA has removed half the pods",
            seconds,
            _SHRINKING,
            True,
            "when half the load is gone, idle pods are paid for",
            "remove a share of the pods in each period: type Percent in place of Pods",
        )


def _removed(tier: Tier, pods: float) -> float:
    """How many pods the HPA removes in the longest period of its policies."""
    longest = max(policy.period for policy in tier.autoscaling.down.policies)

    def of(policy: Policy) -> float:
        return policy.value if policy.kind == "Pods" else pods * policy.value / 100

    return min(pods, max(of(policy) * longest / policy.period for policy in tier.autoscaling.down.policies))


def _connections(size: Size, times: Times, tiers: tuple[Tier, Tier], age: float) -> Iterator[Limit]:
    settings = Settings()
    # How many may be closed when a call comes, until the gateways' CPU grows by more than the bound.
    share = min(1.0, _CONNECTING * times.gateway_cpu / times.connection_cpu) if times.connection_cpu else 1.0
    in_use = share * size.rate * age
    yield Limit(
        "gRPC connections",
        size.connections,
        in_use,
        True,
        f"each is used every {size.connections / size.rate:.3g} s and ended after {age:g} s, so "
        f"{100 * size.reconnecting:.3g} % of the calls open a new one, which takes {times.connection_cpu:g} ms of CPU "
        "and another round trip",
        f"subsetting: let each gateway use {max(2, int(in_use / size.gateways))} of the model servers (SRE book, "
        "chapter 20; gRFC A68)",
    )
    decoders = settings.decoders * _PIXEL * settings.max_pixels
    yield Limit(
        "memory of a gateway's connections",
        size.model_servers * times.connection_memory,
        tiers[0].memory_limit - _GATEWAY_MEMORY - settings.max_held - decoders,
        True,
        "the gateway is killed when all else needs its most too",
        f"subsetting, or {size.model_servers * times.connection_memory / 1e6:.0f} MB more in the memory limit",
    )
    yield Limit(
        "bytes of the DNS response (RFC 1035, 4.2.2)",
        size.dns_answer,
        _DNS_TCP,
        True,
        "it cannot hold all addresses: some model servers get no calls",
        "several Services, each with its own Deployment, and gateways that use one each",
    )


def _cluster(size: Size) -> Iterator[Limit]:
    more_clusters = "several clusters, each with both tiers"
    pods = size.gateways + size.model_servers
    yield Limit("pods of a cluster", pods, _CLUSTER_PODS, True, "Kubernetes does not support more", more_clusters)
    if size.nodes:
        yield Limit(
            "nodes of a cluster", size.nodes, _CLUSTER_NODES, True, "Kubernetes does not support more", more_clusters
        )
    yield Limit(
        "targets of an Application Load Balancer",
        size.gateways,
        _LOAD_BALANCER_TARGETS,
        True,
        "with overlays/eks further gateways get no requests",
        "a higher quota, larger gateways, or several load balancers",
    )


def _faults(size: Size, deadline: float, times: Times) -> Iterator[Limit]:
    yield Limit(
        "seconds before a call that hangs may go to another model server",
        SHORTEST + times.model_cpu / 1e3,
        deadline,
        False,
        f"while one model server hangs, {100 / size.model_servers:.3g} % of all requests end with 504",
        "a shorter SHORTEST in gateway/model/usual_time.py, or a longer deadline",
    )
    yield Limit(
        f"seconds until each gateway has met a model server that hangs {MISSES} times",
        MISSES * size.connections / size.rate,
        _NOTICED,
        True,
        "gateways go on sending it calls until its liveness probe fails",
        "subsetting: a gateway that uses fewer model servers meets each more often",
    )
