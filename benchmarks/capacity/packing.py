"""How many nodes the pods need, by their requests of CPU and memory."""

from collections.abc import Sequence
from dataclasses import dataclass

# https://kubernetes.io/docs/setup/best-practices/cluster-large/
MOST_PODS = 110
_TINY = 1e-9  # of a CPU: sums of decimal fractions are not exact


@dataclass(frozen=True)
class Node:
    """A node, without what the system itself reserves.

    Attributes:
        cpus: That pods may request.
        memory: Bytes that pods may request.
        price: For an hour, in any currency; None if it is not known.
        pods: That it may run.
    """

    cpus: float
    memory: float
    price: float | None = None
    pods: int = MOST_PODS


@dataclass(frozen=True)
class Pods:
    """Pods of one kind: how many, and the CPUs and bytes that each requests."""

    count: int
    cpu: float
    memory: float


def nodes(kinds: Sequence[Pods], node: Node) -> int:
    """The nodes that hold all pods: the largest first, each on the first node with room.

    Raises:
        ValueError: A pod is larger than a node.
    """
    rooms: list[tuple[float, float, int]] = []  # CPUs, bytes and pods that are left on each node
    by_size = sorted(kinds, key=lambda kind: max(kind.cpu / node.cpus, kind.memory / node.memory), reverse=True)
    for kind in by_size:
        if kind.count and (kind.cpu > node.cpus + _TINY or kind.memory > node.memory or node.pods < 1):
            raise ValueError("a node must have room for the largest pod: give --node-cpus and --node-memory of one")
        first, left = 0, kind.count  # where the nodes before it are full for this kind
        while left:
            if first == len(rooms):
                rooms.append((node.cpus, node.memory, node.pods))
            cpus, memory, pods = rooms[first]
            fit = min(left, pods, int(memory // kind.memory) if kind.memory else pods)
            fit = min(fit, int((cpus + _TINY) // kind.cpu)) if kind.cpu else fit
            rooms[first] = (cpus - fit * kind.cpu, memory - fit * kind.memory, pods - fit)
            left -= fit
            first += 1
    return len(rooms)
