"""The size of the whole service for a load, where the HPAs leave it once the load is steady."""

import math
from dataclasses import dataclass

from benchmarks.capacity.manifests import Tier
from benchmarks.capacity.packing import Node, Pods, nodes
from benchmarks.capacity.times import Times

# RFC 1035: a header (4.1.1), the question's name, type and class (4.1.2), and for each address a pointer to that name
# (4.1.4) with type, class, time to live, length and four bytes (4.1.3, 3.4.1).
_DNS_HEADER, _DNS_QUESTION, _DNS_ADDRESS = 12, 4, 16  # bytes
DNS_OVER_UDP = 512  # bytes; RFC 1035, 4.2.1: what is larger is asked for again over TCP


@dataclass(frozen=True)
class Size:
    """What the service needs.

    Attributes:
        rate: Requests a second.
        gateways: Pods.
        model_servers: Pods.
        cpus: That all pods request.
        memory: Bytes that all pods request.
        nodes: None if no node is given.
        traffic: Bytes a second from the gateways to the model servers.
        connections: gRPC connections: each gateway has one to each model server.
        reconnecting: The share of calls that find no open connection, since a model server ends each after a time.
        dns_answer: Bytes of the DNS response with all model servers.
        price: For a million images; None without the price of a node.
    """

    rate: float
    gateways: int
    model_servers: int
    cpus: float
    memory: float
    nodes: int | None
    traffic: float
    connections: int
    reconnecting: float
    dns_answer: int
    price: float | None


def size(
    rate: float,
    times: Times,
    tiers: tuple[Tier, Tier],
    image_bytes: float,
    name: str,
    connection_age: float,
    node: Node | None = None,
) -> Size:
    """Compute the size.

    Args:
        rate: Requests a second, of one image each.
        times: What a request costs.
        tiers: The gateway and the model server.
        image_bytes: Of an image on its way from a gateway to a model server.
        name: DNS name of the model servers.
        connection_age: Seconds after which a model server ends a connection.
        node: The nodes; all are alike.

    Raises:
        ValueError: A pod is larger than a node.
    """
    gateway, model_server = tiers
    gateways = replicas(rate, times.gateway_cpu / 1e3, gateway)
    servers = replicas(rate, times.model_cpu / 1e3, model_server)
    kinds = [
        Pods(count, tier.cpu_request, tier.memory_request)
        for count, tier in zip((gateways, servers), tiers, strict=True)
    ]
    count = nodes(kinds, node) if node else None
    connections = gateways * servers
    return Size(
        rate=rate,
        gateways=gateways,
        model_servers=servers,
        cpus=sum(kind.count * kind.cpu for kind in kinds),
        memory=sum(kind.count * kind.memory for kind in kinds),
        nodes=count,
        traffic=rate * image_bytes,
        connections=connections,
        reconnecting=min(1.0, connections / (rate * connection_age)),
        dns_answer=dns_answer(name, servers),
        price=count * node.price / (rate * 3600) * 1e6 if node and node.price is not None and count else None,
    )


def replicas(rate: float, cpu: float, tier: Tier) -> int:
    """The pods at which a tier's CPU is at its HPA's target; the HPA's maximum is not heeded.

    Args:
        rate: Requests a second.
        cpu: Seconds of CPU for each.
        tier: The tier.
    """
    usable = tier.cpu_request * tier.autoscaling.target / 100
    return max(tier.autoscaling.least, math.ceil(rate * cpu / usable - 1e-9))


def dns_answer(name: str, addresses: int) -> int:
    """Bytes of the DNS response with so many IPv4 addresses of this name."""
    question = len(name) + 2 + _DNS_QUESTION  # a length before each label, and the root's at the end
    return _DNS_HEADER + question + _DNS_ADDRESS * addresses
