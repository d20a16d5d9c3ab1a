"""Which connections NetworkPolicies allow, by the rules that Kubernetes documents.

The network of a test cluster may not enforce policies, and the analyser on PyPI (network-config-analyzer 2.1.0) pins
PyYAML and other packages to old versions. Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod in a namespace. ``ports`` maps names to numbers."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outside:
    """An address outside the cluster."""

    address: str


Endpoint: TypeAlias = Pod | Outside


def allows(
    policies: Sequence[Policy], source: Endpoint, destination: Endpoint, port: int, protocol: str = "TCP"
) -> bool:
    """Whether a connection may be made: the source's egress and the destination's ingress both have to allow it.

    Two connections that no policy affects are left out: from a pod to itself, and from the node that a pod runs on.
    """
    for pod, peer, direction, peers in (
        (source, destination, "Egress", "to"),
        (destination, source, "Ingress", "from"),
    ):
        rules = _rules(policies, pod, direction)
        if rules is not None and not any(
            _peer_matches(rule.get(peers), namespace, peer)
            and _port_matches(rule.get("ports"), destination, port, protocol)
            for namespace, rule in rules
        ):
            return False
    return True


def _rules(policies: Sequence[Policy], pod: Endpoint, direction: str) -> list[tuple[str, Policy]] | None:
    """The rules for a pod, each with its policy's namespace. None if no policy isolates the pod in this direction."""
    if isinstance(pod, Outside):
        return None
    selected = [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == pod.namespace
        and selects(policy["spec"]["podSelector"], pod.labels)
        and direction in _types(policy["spec"])
    ]
    if not selected:
        return None
    key = direction.lower()
    return [(policy["metadata"]["namespace"], rule) for policy in selected for rule in policy["spec"].get(key) or []]


def _types(spec: Policy) -> Sequence[str]:
    return spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])


def _peer_matches(peers: Sequence[Policy] | None, namespace: str, endpoint: Endpoint) -> bool:
    return not peers or any(_one_peer_matches(peer, namespace, endpoint) for peer in peers)


def _one_peer_matches(peer: Policy, namespace: str, endpoint: Endpoint) -> bool:
    if block := peer.get("ipBlock"):
        # A block is for addresses outside the cluster. Whether it also matches a pod's address depends on the network.
        if isinstance(endpoint, Pod):
            return False
        address = ipaddress.ip_address(endpoint.address)
        inside = address in ipaddress.ip_network(block["cidr"])
        return inside and not any(address in ipaddress.ip_network(network) for network in block.get("except") or [])
    if isinstance(endpoint, Outside):
        return False
    if "namespaceSelector" in peer:
        # The API server gives each namespace its name as a label.
        labels = {**endpoint.namespace_labels, "kubernetes.io/metadata.name": endpoint.namespace}
        near = selects(peer["namespaceSelector"], labels)
    else:
        near = endpoint.namespace == namespace
    return near and selects(peer.get("podSelector") or {}, endpoint.labels)


def _port_matches(ports: Sequence[Policy] | None, destination: Endpoint, port: int, protocol: str) -> bool:
    return not ports or any(_one_port_matches(allowed, destination, port, protocol) for allowed in ports)


def _one_port_matches(allowed: Policy, destination: Endpoint, port: int, protocol: str) -> bool:
    if allowed.get("protocol", "TCP") != protocol:
        return False
    first = allowed.get("port")
    if first is None:
        return True
    if isinstance(first, str):
        return isinstance(destination, Pod) and destination.ports.get(first) == port
    return bool(first <= port <= allowed.get("endPort", first))


def selects(selector: Policy, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects these labels; an empty one selects all."""
    if unknown := selector.keys() - {"matchLabels", "matchExpressions"}:
        raise ValueError(f"a selector has no {', '.join(sorted(unknown))}")
    exact = (selector.get("matchLabels") or {}).items() <= labels.items()
    return exact and all(_expression(expression, labels) for expression in selector.get("matchExpressions") or [])


def _expression(expression: Policy, labels: Mapping[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or []
    match operator:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    raise ValueError(f"there is no operator {operator}")
