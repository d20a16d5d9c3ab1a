"""The policies allow exactly the connections that the service needs."""

import ipaddress
from itertools import product

import pytest

from gateway.images.addresses import DENIED_NETWORKS
from gateway.settings import Settings
from tests.kube_config.manifests import KUBE_CONFIG, OVERLAYS, TIERS, Object, build, build_with, of_kind, one
from tests.kube_config.network_policy import Endpoint, Outside, Pod, allows

NAMESPACE = "brain-tumor"
OTHERS = {
    "neighbour": Pod(NAMESPACE, {"app.kubernetes.io/part-of": NAMESPACE}),
    "impostor": Pod("elsewhere", {"app.kubernetes.io/name": "gateway"}),
    "second model server": Pod("elsewhere", {"app.kubernetes.io/name": "model-server"}),
    "dns": Pod("kube-system", {"k8s-app": "kube-dns"}),
    "false dns": Pod("elsewhere", {"k8s-app": "kube-dns"}),
    "system": Pod("kube-system", {"k8s-app": "metrics-server"}),
    "prometheus": Pod("monitoring", {"app.kubernetes.io/name": "prometheus"}),
    "node's dns": Outside("169.254.20.10"),
    "its neighbour": Outside("169.254.20.11"),
    "eks dns": Outside("10.100.0.10"),
    "other eks dns": Outside("172.20.0.10"),
    "eks dns, IPv6": Outside("fd12:3456::a"),
    "beside eks dns": Outside("10.100.0.11"),
    "beside other eks dns": Outside("172.20.0.11"),
    "internet": Outside("8.8.8.8"),
    "internet, IPv6": Outside("2606:4700::1111"),
    # One address or more of each range that a gateway must not reach. A test below compares the whole ranges.
    **{
        address: Outside(address)
        for address in (
            *("0.0.0.0", "10.0.0.1", "10.96.0.1", "100.64.0.1", "127.0.0.1", "168.63.129.16", "169.254.169.254"),
            *("169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.168.0.1", "198.18.0.1", "224.0.0.1"),
            *("255.255.255.255", "::1", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "2001::1", "2002:a00::1", "fc00::1"),
            *("fd00::1", "fd00:ec2::254", "fe80::1", "ff02::1"),
        )
    },
}
PORTS = (
    22,
    52,
    53,
    54,
    79,
    80,
    81,
    442,
    443,
    444,
    2379,
    4180,
    6443,
    8080,
    8499,
    8500,
    8501,
    8502,
    9695,
    9696,
    9697,
    10250,
)
PROTOCOLS = ("TCP", "UDP", "SCTP")
DNS = {(protocol, 53) for protocol in ("TCP", "UDP")}
URLS = {("TCP", 80), ("TCP", 443)}
HTTP = {("TCP", 9696)}
# The ports of the gateway in an overlay with the component admin-port.
OVERLAY_HTTP = {"eks": {*HTTP, ("TCP", 9697)}}
# Further servers of DNS that an overlay opens.
OVERLAY_DNS = {"eks": {"eks dns", "other eks dns", "eks dns, IPv6", "fc00::1", "fd00::1", "fd00:ec2::254"}}

Reach = dict[tuple[str, str], set[tuple[str, int]]]


def endpoints(objects: list[Object]) -> dict[str, Endpoint]:
    """A pod of each Deployment, other pods of the cluster, and addresses outside."""
    ours = {
        deployment["metadata"]["name"]: Pod(
            NAMESPACE,
            deployment["spec"]["template"]["metadata"]["labels"],
            {
                port["name"]: port["containerPort"]
                for container in deployment["spec"]["template"]["spec"]["containers"]
                for port in container["ports"]
            },
        )
        for deployment in of_kind(objects, "Deployment")
    }
    assert set(TIERS) <= ours.keys()
    return {**ours, **OTHERS}


def reach(objects: list[Object]) -> Reach:
    """The open ports of each pair of endpoints with a pod of the namespace. A pair of equals means two replicas."""
    policies = of_kind(objects, "NetworkPolicy")
    endpoint_of, reached = endpoints(objects), {}
    ours = {
        name for name, endpoint in endpoint_of.items() if isinstance(endpoint, Pod) and endpoint.namespace == NAMESPACE
    }
    for (a, source), (b, destination) in product(endpoint_of.items(), repeat=2):
        if ours & {a, b}:
            open_ports = {
                (protocol, port)
                for protocol, port in product(PROTOCOLS, PORTS)
                if allows(policies, source, destination, port, protocol)
            }
            if open_ports:
                reached[a, b] = open_ports
    return reached


def one_way(objects: list[Object], direction: str) -> list[Object]:
    """The objects, with network policies that isolate in this direction alone."""
    for policy in of_kind(objects, "NetworkPolicy"):
        assert direction in policy["spec"]["policyTypes"]
        policy["spec"]["policyTypes"] = [direction]
    return objects


def expected(overlay: str = "") -> Reach:
    """What must be reachable: of an overlay, or of the base with network-policies."""
    http, dns = OVERLAY_HTTP.get(overlay, HTTP), OVERLAY_DNS.get(overlay, set())
    return {
        **{(name, "gateway"): http for name in OTHERS if name != "neighbour"},  # the neighbour may call nobody
        ("gateway", "model-server"): {("TCP", 8500)},
        **{("gateway", name): DNS for name in {"dns", "node's dns"} | dns},
        **{("gateway", name): URLS for name in ("internet", "internet, IPv6")},
    }


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_nothing_else_is_reachable(overlay):
    assert reach(build(overlay)) == expected(overlay.name)


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_each_direction_is_as_narrow_without_the_other(overlay):
    """Together they hide a mistake in one: ingress refuses what a mistake in egress allows, and the reverse."""
    ours = {*TIERS, "neighbour"}
    whole = expected(overlay.name)
    leaving = reach(one_way(build(overlay), "Egress"))
    assert {pair: leaving[pair] for pair in leaving if pair[0] in ours} == {
        pair: whole[pair] for pair in whole if pair[0] in ours
    }
    entering = reach(one_way(build(overlay), "Ingress"))
    # Only their own egress keeps our pods from calling the gateway.
    http = OVERLAY_HTTP.get(overlay.name, HTTP)
    everyone = {(name, "gateway"): http for name in (*TIERS, *OTHERS)}
    assert {pair: entering[pair] for pair in entering if pair[1] in ours} == {
        **everyone,
        ("gateway", "model-server"): whole["gateway", "model-server"],
    }


def test_prometheus_reaches_the_model_server_s_metrics_where_monitoring_comes_after_the_policies(tmp_path):
    objects = build_with(tmp_path, "network-policies", "monitoring")
    assert reach(objects) == expected() | {("prometheus", "model-server"): {("TCP", 8501)}}


def test_a_canary_is_reached_as_the_model_server_is_and_reaches_nobody(tmp_path):
    objects = build_with(tmp_path, "network-policies", "monitoring", "canary")
    of_model_server = {
        ("gateway", "model-server"): {("TCP", 8500)},
        ("prometheus", "model-server"): {("TCP", 8501)},
    }
    assert reach(objects) == {
        **expected(),
        **of_model_server,
        **{(source, "model-server-canary"): ports for (source, _), ports in of_model_server.items()},
    }


def test_with_logins_only_their_proxy_reaches_the_gateway(tmp_path):
    objects = build_with(tmp_path, "network-policies", "monitoring", "admin-port", "oauth2-proxy")
    callers, proxy = [name for name in OTHERS if name != "neighbour"], "oauth2-proxy"
    outside = {name: {("TCP", 443)} for name, endpoint in OTHERS.items() if isinstance(endpoint, Outside)}
    assert reach(objects) == {
        **{pair: ports for pair, ports in expected().items() if pair[1] != "gateway"},
        ("prometheus", "model-server"): {("TCP", 8501)},
        **{(name, proxy): {("TCP", 4180)} for name in callers},
        (proxy, "gateway"): HTTP,
        **{(name, "gateway"): {("TCP", 9697)} for name in callers},  # probes and metrics
        **{(proxy, name): ports for name, ports in outside.items()},
        (proxy, "dns"): DNS,
        (proxy, "node's dns"): DNS | outside["node's dns"],
    }


def test_urls_reach_the_addresses_that_the_gateway_permits_and_no_others(objects):
    """Every address, not a sample: the policy leaves out exactly the addresses that the gateway denies."""
    (rule,) = [
        rule
        for rule in one(objects, "NetworkPolicy", "gateway")["spec"]["egress"]
        if {entry["port"] for entry in rule["ports"]} == Settings().url_ports
    ]
    blocks = [peer["ipBlock"] for peer in rule["to"]]
    for whole in (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")):
        (block,) = [block for block in blocks if ipaddress.ip_network(block["cidr"]).version == whole.version]
        around = whole.address_exclude(ipaddress.ip_network(block["cidr"]))
        left_out = [*around, *map(ipaddress.ip_network, block["except"])]
        denied = [network for network in DENIED_NETWORKS if network.version == whole.version]
        assert list(ipaddress.collapse_addresses(left_out)) == list(ipaddress.collapse_addresses(denied))


def test_what_is_open_to_one_family_of_addresses_is_open_to_the_other(objects):
    """But for single addresses, which a cluster may have in one family alone."""
    for policy in of_kind([*objects, *build(KUBE_CONFIG / "jobs" / "s3")], "NetworkPolicy"):
        for rule in (*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])):
            peers = (*rule.get("from", []), *rule.get("to", []))
            networks = [ipaddress.ip_network(peer["ipBlock"]["cidr"]) for peer in peers if "ipBlock" in peer]
            if any(network.num_addresses > 1 for network in networks):
                assert {network.version for network in networks} == {4, 6}, policy["metadata"]["name"]


def test_every_pod_of_the_namespace_is_isolated_both_ways(objects):
    unknown = Pod(NAMESPACE)
    policies = of_kind(objects, "NetworkPolicy")
    for other, port in product(endpoints(objects).values(), PORTS):
        assert not allows(policies, other, unknown, port)
        assert not allows(policies, unknown, other, port)
