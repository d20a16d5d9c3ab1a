"""Sizes, nodes and limits, held against numbers computed by hand."""

import json
from dataclasses import replace

import pytest

from benchmarks.capacity import times as times_of
from benchmarks.capacity.limits import limits
from benchmarks.capacity.manifests import (
    Autoscaling,
    Policy,
    Rules,
    Tier,
    base,
    connection_age,
    model_server_name,
    quantity,
    tiers,
)
from benchmarks.capacity.packing import Node, Pods, nodes
from benchmarks.capacity.plan import dns_answer, replicas, size
from benchmarks.capacity.times import Times

GIB = 2.0**30
TIMES = Times(4.0, 1.0, 100.0, 0.1, 0.5, 1.2, 40_000.0)
HPA = Autoscaling(2, 10, 70, down=Rules(300.0, (Policy("Pods", 1, 60.0),)))
TIERS = (Tier("gateway", 0.25, 1.0, GIB / 4, GIB, HPA), Tier("model-server", 1.0, 2.0, 2 * GIB, 4 * GIB, HPA))
NODE = Node(16.0, 64 * GIB, 0.5)
NAME = "model-server.brain-tumor.svc.cluster.local"


def size_for(rate: float, node: Node | None = NODE):
    return size(rate, TIMES, TIERS, 268_203, NAME, 10.0, node)


def limit(rate: float, part: str, deadline: float = 10.0):
    (found,) = [entry for entry in limits(size_for(rate), TIMES, TIERS, deadline, 10.0) if part in entry.what]
    return found


def test_replicas_use_the_target_of_their_request():
    assert replicas(70.0, 0.1, TIERS[1]) == 10  # 7 of 10 CPUs
    assert replicas(71.0, 0.1, TIERS[1]) == 11
    assert replicas(1.0, 0.1, TIERS[1]) == 2


def test_a_size_computed_by_hand():
    found = size_for(7000.0)
    assert (found.gateways, found.model_servers) == (160, 1000)
    assert (found.cpus, found.memory) == (1040.0, 2040 * GIB)
    assert found.nodes == 65  # 62 with 16 model servers, then 8 and 32 gateways, then 64 and 64
    assert found.traffic == pytest.approx(1.877e9, rel=1e-3)
    assert found.connections == 160_000
    assert found.price == pytest.approx(65 * 0.5 / (7000 * 3600) * 1e6)
    assert found.reconnecting == 1.0
    assert size_for(100.0).reconnecting == pytest.approx(3 * 15 / 1000)


def test_without_a_node_or_a_price_there_is_none():
    assert (size_for(100.0, None).nodes, size_for(100.0, None).price) == (None, None)
    assert size_for(100.0, replace(NODE, price=None)).price is None


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([Pods(16, 1.0, 1.0)], 1),
        ([Pods(17, 1.0, 1.0)], 2),
        ([Pods(4, 0.1, 20 * GIB)], 2),  # memory
        ([Pods(300, 0.01, 1.0)], 3),  # 110 pods
        ([Pods(3, 10.0, 1.0), Pods(18, 1.0, 1.0)], 3),  # the small ones beside the large ones
        ([Pods(160, 0.1, 1.0)], 2),  # 16 of a tenth, whatever binary fractions say: 110 pods, then 50
        ([Pods(30, 0.1, 1.0), Pods(13, 1.0, 1.0)], 1),
        ([Pods(100, 0.02, 1.0), Pods(100, 0.01, 1.0)], 2),  # 110 pods of both kinds
        ([Pods(0, 99.0, 1.0)], 0),
    ],
)
def test_nodes_are_filled_by_cpu_memory_and_pods(kinds, expected):
    assert nodes(kinds, Node(16.0, 64 * GIB)) == expected


def test_a_pod_that_no_node_can_hold():
    with pytest.raises(ValueError, match="--node-cpus"):
        nodes([Pods(1, 17.0, 1.0)], NODE)
    with pytest.raises(ValueError, match="--node-memory"):
        nodes([Pods(1, 1.0, 65 * GIB)], NODE)


def test_a_dns_response_of_real_length():
    # A header of 12, the question of 44 + 4, two addresses of 16.
    assert dns_answer(NAME, 2) == 12 + 44 + 4 + 32
    assert dns_answer("a.b", 0) == len(b"\0" * 12 + b"\1a\1b\0" + b"\0\1\0\1")


def test_limits_break_where_they_are_reached():
    for part, rate in (
        ("maxReplicas of the model-server", 70.0),
        ("maxReplicas of the gateway", 437.5),
        ("DNS response", 28_610.0),
        ("memory of a gateway's connections", 27_200.0),
        ("Application Load Balancer", 43_750.0),
        ("gRPC connections", 509.0),
    ):
        found = limit(20_000.0, part)
        assert found.breaks_at(20_000.0) == pytest.approx(rate, rel=0.01), part
        assert limit(rate * 0.93, part).used <= 1, part  # a little less: pods are whole ones
        assert limit(rate * 1.05, part).used > 1, part


def test_the_most_used_limit_is_the_first():
    found = limits(size_for(20_000.0), TIMES, TIERS, 10.0, 10.0)
    assert found == sorted(found, key=lambda entry: -entry.used)
    assert found[0].what == "maxReplicas of the model-server's HPA"
    assert "5716" in found[0].change


def test_a_subset_keeps_connections_in_use():
    found = limit(20_000.0, "gRPC connections")
    assert found.limit == pytest.approx(20_000 * 10 * 0.05 * 4.0 / 1.2)
    assert "use 72 of" in found.change
    assert 72 * 458 <= found.limit < 73 * 458
    assert "100 % of the calls" in found.then


def test_half_of_the_pods_go_one_a_minute():
    assert limit(7000.0, "until the model-server's HPA").value == 500 * 60
    quick = replace(HPA, down=Rules(300.0, (Policy("Percent", 10, 60.0), Policy("Pods", 1, 15.0))))
    faster = (TIERS[0], replace(TIERS[1], autoscaling=quick))
    (found,) = [
        entry for entry in limits(size_for(7000.0), TIMES, faster, 10.0, 10.0) if "until the model" in entry.what
    ]
    assert found.value == 600


def test_a_short_deadline_leaves_no_time_for_another_model_server():
    assert limit(100.0, "hangs may go", deadline=0.5).used == pytest.approx(1.2)
    assert limit(100.0, "hangs may go", deadline=0.5).breaks_at(100.0) is None
    assert limit(100.0, "hangs may go", deadline=10.0).used == pytest.approx(0.06)


def test_what_kube_config_says():
    gateway, model_server = tiers(base())
    assert (gateway.cpu_request, gateway.cpu_limit, gateway.memory_limit) == (0.25, 1.0, GIB)
    assert (model_server.cpu_request, model_server.memory_request) == (1.0, GIB)
    assert (model_server.autoscaling.least, model_server.autoscaling.most, gateway.autoscaling.target) == (2, 10, 70)
    assert gateway.autoscaling.down == Rules(300, (Policy("Pods", 1, 60),))
    assert gateway.autoscaling.up == Rules(0, (Policy("Percent", 100, 15.0), Policy("Pods", 4, 15.0)))
    assert model_server_name() == NAME
    assert connection_age() == 10.0


@pytest.mark.parametrize(("text", "number"), [("250m", 0.25), (2, 2.0), ("1.5", 1.5), ("64Mi", 2.0**26), ("1G", 1e9)])
def test_quantities(text, number):
    assert quantity(text) == number


def test_service_times_in_a_file(tmp_path):
    path = tmp_path / "times.json"
    TIMES.write(path)
    assert Times(**times_of.read(path)) == TIMES
    path.write_text(json.dumps({"gateway": 1}))
    with pytest.raises(ValueError, match="gateway_cpu"):
        times_of.read(path)
    with pytest.raises(ValueError, match="refusal_cpu"):
        replace(TIMES, refusal_cpu=5.0)
    with pytest.raises(ValueError, match="network"):
        replace(TIMES, network=-1.0)
