"""The evaluator against what Kubernetes documents of NetworkPolicies."""

import pytest

from tests.kube_config.network_policy import Endpoint, allows, selects

WEB = Endpoint("10.0.0.1", "shop", {"app": "web", "tier": "front"}, {("http", "TCP"): 8080, ("dns", "UDP"): 5353})
DB = Endpoint("10.0.0.2", "shop", {"app": "db"})
OTHER = Endpoint("10.0.1.1", "office", {"app": "web"})
OUTSIDE = Endpoint("198.51.7.9")


def policy(pods: dict, **spec: object) -> dict:
    return {"metadata": {"namespace": "shop"}, "spec": {"podSelector": pods, **spec}}


def reaches_web(rule: dict, source: Endpoint = DB, port: int = 8080, protocol: str = "TCP") -> bool:
    return allows([policy({"matchLabels": {"app": "web"}}, ingress=[rule])], source, WEB, port, protocol)


def test_without_policies_everything_is_allowed():
    assert allows([], WEB, DB, 1)
    assert allows([], OUTSIDE, WEB, 8080, "UDP")


def test_a_policy_isolates_the_pods_it_selects_and_no_others():
    deny = policy({"matchLabels": {"app": "web"}})
    assert not allows([deny], DB, WEB, 8080)
    assert allows([deny], WEB, DB, 1)
    assert allows([deny], DB, OTHER, 8080)  # of the same label, in another namespace
    assert not allows([policy({})], WEB, DB, 1)


def test_without_types_it_is_about_egress_only_if_it_has_egress_rules():
    assert allows([policy({})], WEB, OUTSIDE, 1)
    only_db = policy({}, egress=[{"to": [{"podSelector": {"matchLabels": {"app": "db"}}}]}])
    assert not allows([only_db], WEB, OUTSIDE, 1)
    assert not allows([only_db], WEB, DB, 1)  # the database's ingress is denied
    egress_alone = policy({}, policyTypes=["Egress"])
    assert not allows([egress_alone], WEB, DB, 1)
    assert allows([egress_alone], OUTSIDE, WEB, 8080)


def test_both_directions_must_allow():
    out = policy({"matchLabels": {"app": "web"}}, policyTypes=["Egress"], egress=[{}])
    into = policy({"matchLabels": {"app": "db"}}, ingress=[{}])
    deny = policy({}, policyTypes=["Ingress", "Egress"])
    assert not allows([deny, out], WEB, DB, 1)
    assert not allows([deny, into], WEB, DB, 1)
    assert allows([deny, out, into], WEB, DB, 1)  # policies add up


def test_an_empty_rule_allows_all_and_no_rule_none():
    assert reaches_web({})
    assert reaches_web({"from": [], "ports": []}, OUTSIDE, 9, "SCTP")
    assert not allows([policy({}, ingress=[])], OUTSIDE, WEB, 8080)


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [
        ({"podSelector": {}}, {DB.address}),
        ({"podSelector": {"matchLabels": {"app": "web"}}}, set()),
        ({"namespaceSelector": {}}, {DB.address, OTHER.address}),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "office"}}}, {OTHER.address}),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}, {OTHER.address}),
        ({"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/16"]}}, {OUTSIDE.address}),
        ({"ipBlock": {"cidr": "2000::/3"}}, set()),
    ],
)
def test_peers(peer, allowed):
    assert {each.address for each in (DB, OTHER, OUTSIDE) if reaches_web({"from": [peer]}, each)} == allowed


def test_selectors_in_one_peer_are_joined_by_and_peers_by_or():
    namespace = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "office"}}}
    pods = {"podSelector": {"matchLabels": {"app": "db"}}}
    assert not reaches_web({"from": [namespace | pods]}, OTHER)
    assert reaches_web({"from": [namespace, pods]}, OTHER)
    assert reaches_web({"from": [namespace, pods]}, DB)


def test_a_rule_s_peers_and_ports_must_both_match():
    rule = {"from": [{"podSelector": {"matchLabels": {"app": "db"}}}], "ports": [{"port": 8080}]}
    assert reaches_web(rule)
    assert not reaches_web(rule, port=8081)
    assert not reaches_web(rule, OTHER)


@pytest.mark.parametrize(
    ("allowed", "port", "protocol", "expected"),
    [
        ({"port": 8080}, 8080, "TCP", True),
        ({"port": 8080}, 8080, "UDP", False),  # TCP unless it says otherwise
        ({"port": 8080, "protocol": "UDP"}, 8080, "UDP", True),
        ({"protocol": "UDP"}, 9, "UDP", True),
        ({"protocol": "UDP"}, 9, "TCP", False),
        ({"port": 8000, "endPort": 8090}, 8090, "TCP", True),
        ({"port": 8000, "endPort": 8090}, 8091, "TCP", False),
        ({"port": "http"}, 8080, "TCP", True),  # as the destination's container names it
        ({"port": "http"}, 80, "TCP", False),
        ({"port": "dns"}, 5353, "TCP", False),
        ({"port": "absent"}, 8080, "TCP", False),
    ],
)
def test_ports(allowed, port, protocol, expected):
    assert reaches_web({"ports": [allowed]}, OUTSIDE, port, protocol) is expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"key": "app", "operator": "In", "values": ["web", "db"]}, True),
        ({"key": "app", "operator": "In", "values": ["db"]}, False),
        ({"key": "absent", "operator": "In", "values": ["db"]}, False),
        ({"key": "app", "operator": "NotIn", "values": ["web"]}, False),
        ({"key": "absent", "operator": "NotIn", "values": ["web"]}, True),
        ({"key": "app", "operator": "Exists"}, True),
        ({"key": "absent", "operator": "Exists"}, False),
        ({"key": "app", "operator": "DoesNotExist"}, False),
        ({"key": "absent", "operator": "DoesNotExist"}, True),
    ],
)
def test_expressions(expression, expected):
    assert selects({"matchExpressions": [expression]}, WEB.labels) is expected
    assert not selects({"matchLabels": {"app": "db"}, "matchExpressions": [expression]}, WEB.labels)


def test_what_it_does_not_know_is_an_error():
    with pytest.raises(ValueError, match="matchLabel"):
        selects({"matchLabel": {"app": "web"}}, WEB.labels)
    with pytest.raises(ValueError, match="operator"):
        selects({"matchExpressions": [{"key": "app", "operator": "Is"}]}, WEB.labels)
