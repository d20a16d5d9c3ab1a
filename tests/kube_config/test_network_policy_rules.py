"""network_policy.py follows Kubernetes' rules."""

import pytest

from tests.kube_config.network_policy import Outside, Pod, allows, selects

WEB = Pod("shop", {"app": "web"}, {"http": 8080})
DATABASE = Pod("shop", {"app": "db"})
FOREIGN = Pod("elsewhere", {"app": "web"}, namespace_labels={"team": "red"})


def policy(spec: dict, namespace: str = "shop") -> dict:
    return {"metadata": {"namespace": namespace}, "spec": {"podSelector": {}, **spec}}


def selecting(selector: dict, **spec: object) -> dict:
    return policy({"podSelector": selector, **spec})


def test_without_policies_everything_is_allowed():
    assert allows([], FOREIGN, DATABASE, 5432)
    assert allows([], DATABASE, Outside("203.0.113.7"), 443)


def test_a_policy_isolates_the_pods_it_selects_in_its_directions_alone():
    deny_ingress = policy({"policyTypes": ["Ingress"]})
    assert not allows([deny_ingress], WEB, DATABASE, 5432)
    assert allows([deny_ingress], WEB, Outside("203.0.113.7"), 443)
    assert allows([deny_ingress], WEB, FOREIGN, 80)  # of another namespace
    deny_web = selecting({"matchLabels": {"app": "web"}}, policyTypes=["Egress"])
    assert not allows([deny_web], WEB, DATABASE, 5432)
    assert allows([deny_web], DATABASE, WEB, 8080)


def test_directions_that_are_not_named_follow_from_the_rules():
    assert not allows([policy({})], WEB, DATABASE, 5432)
    assert allows([policy({})], WEB, Outside("203.0.113.7"), 443)
    assert allows([policy({"egress": []})], WEB, Outside("203.0.113.7"), 443)  # the API server's default, tried
    assert not allows([policy({"egress": [{"ports": [{"port": 80}]}]})], WEB, Outside("203.0.113.7"), 443)


def test_policies_add_up():
    policies = [policy({}), policy({"ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]})]
    assert allows(policies, WEB, DATABASE, 5432)
    assert not allows(policies, Pod("shop", {"app": "other"}), DATABASE, 5432)
    assert not allows(policies, FOREIGN, DATABASE, 5432)  # a podSelector alone means this namespace


@pytest.mark.parametrize(
    ("peer", "fits"),
    [
        ({"namespaceSelector": {}}, True),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}}}, True),
        ({"namespaceSelector": {"matchLabels": {"team": "blue"}}}, False),
        ({"namespaceSelector": {"matchLabels": {"team": "red"}}, "podSelector": {"matchLabels": {"app": "db"}}}, False),
        ({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]}}, True),
        ({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}}, False),
        ({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["red"]}]}}, True),
        ({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["red"]}]}}, False),
        # Without the label a namespace is not in.
        ({"namespaceSelector": {"matchExpressions": [{"key": "size", "operator": "NotIn", "values": ["big"]}]}}, True),
        ({"namespaceSelector": {"matchExpressions": [{"key": "size", "operator": "In", "values": ["big"]}]}}, False),
        ({"ipBlock": {"cidr": "0.0.0.0/0"}}, False),
    ],
)
def test_peers_of_other_namespaces(peer, fits):
    assert allows([policy({"ingress": [{"from": [peer]}]})], FOREIGN, DATABASE, 5432) is fits


def test_address_blocks_and_their_exceptions():
    block = {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}
    policies = [policy({"policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": block}]}]})]
    assert allows(policies, WEB, Outside("10.2.0.1"), 443)
    assert not allows(policies, WEB, Outside("10.1.0.1"), 443)
    assert not allows(policies, WEB, Outside("11.0.0.1"), 443)
    assert not allows(policies, WEB, Outside("2001:4860::1"), 443)


@pytest.mark.parametrize(
    ("entry", "port", "protocol", "fits"),
    [
        ({"port": 8080}, 8080, "TCP", True),
        ({"port": 8080}, 8081, "TCP", False),
        ({"port": 8080}, 8080, "UDP", False),
        ({"port": "http"}, 8080, "TCP", True),
        ({"port": "http"}, 80, "TCP", False),
        ({"port": "grpc"}, 8080, "TCP", False),
        ({"port": 8000, "endPort": 8100}, 8080, "TCP", True),
        ({"protocol": "UDP"}, 53, "UDP", True),
        ({"protocol": "UDP"}, 53, "TCP", False),
    ],
)
def test_ports(entry, port, protocol, fits):
    assert allows([policy({"ingress": [{"ports": [entry]}]})], DATABASE, WEB, port, protocol) is fits


def test_a_rule_without_peers_and_ports_allows_everything():
    assert allows([policy({"ingress": [{}]})], Outside("203.0.113.7"), WEB, 1)


def test_both_directions_must_allow():
    deny = policy({"policyTypes": ["Ingress", "Egress"]})
    out = selecting({"matchLabels": {"app": "web"}}, policyTypes=["Egress"], egress=[{}])
    into = selecting({"matchLabels": {"app": "db"}}, ingress=[{}])
    assert not allows([deny, out], WEB, DATABASE, 5432)
    assert not allows([deny, into], WEB, DATABASE, 5432)
    assert allows([deny, out, into], WEB, DATABASE, 5432)


def test_a_peer_s_selectors_are_joined_by_and_peers_by_or():
    namespace = {"namespaceSelector": {"matchLabels": {"team": "red"}}}
    pods = {"podSelector": {"matchLabels": {"app": "db"}}}
    assert not allows([policy({"ingress": [{"from": [namespace | pods]}]})], FOREIGN, WEB, 1)
    either = [policy({"ingress": [{"from": [namespace, pods]}]})]
    assert allows(either, FOREIGN, WEB, 1)
    assert allows(either, DATABASE, WEB, 1)


def test_a_rule_s_peers_and_ports_must_both_fit():
    rule = {"from": [{"podSelector": {"matchLabels": {"app": "db"}}}], "ports": [{"port": 8080}]}
    policies = [policy({"ingress": [rule]})]
    assert allows(policies, DATABASE, WEB, 8080)
    assert not allows(policies, DATABASE, WEB, 8081)
    assert not allows(policies, FOREIGN, WEB, 8080)


def test_what_it_does_not_know_is_an_error():
    with pytest.raises(ValueError, match="matchLabel"):
        selects({"matchLabel": {"app": "web"}}, WEB.labels)
    with pytest.raises(ValueError, match="operator"):
        selects({"matchExpressions": [{"key": "app", "operator": "Is"}]}, WEB.labels)
