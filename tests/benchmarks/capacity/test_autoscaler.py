"""The HPA's decisions: the cases of Kubernetes' documentation, and those of kube-config."""

from dataclasses import replace

import pytest

from benchmarks.capacity.autoscaler import Autoscaler, PodMetric, wanted, wanted_for
from benchmarks.capacity.loop import Loop
from benchmarks.capacity.manifests import Autoscaling, Policy, Rules, Tier
from benchmarks.capacity.pods import Pod
from benchmarks.capacity.scaling import Delays, Group

PLAIN = Autoscaling(1, 1000, 50)


def pods(*usages: float | None) -> list[PodMetric]:
    return [PodMetric(usage) for usage in usages]


UNREADY = PodMetric(None, ready=False)


@pytest.mark.parametrize(
    ("usage", "replicas"),
    [
        (1.0, 8),  # 200m where 100m are desired: twice as many
        (0.25, 2),  # 50m where 100m are desired: half as many
        (0.55, 4),  # within the tolerance of 0.1
        (0.45, 4),
        (0.56, 5),
        (0.44, 4),  # 3.52, rounded up
        (0.36, 3),
    ],
)
def test_the_mean_is_brought_to_the_target(usage, replicas):
    assert wanted(pods(*[usage] * 4), 4, 50) == replicas


def test_a_utilization_is_cut_to_whole_percent():
    assert wanted(pods(0.5599), 1, 50) == 1
    assert wanted(pods(0.56), 1, 50) == 2


def test_pods_that_are_not_ready_count_as_idle_when_it_is_about_more():
    assert wanted([*pods(1.0, 1.0), UNREADY], 3, 50) == 4  # 67 % of 3 pods, not 100 % of 2
    assert wanted([*pods(1.0, 1.0), UNREADY, UNREADY], 4, 50) == 4  # 50 %: nothing to do
    assert wanted([*pods(*[1.08] * 10), *[UNREADY] * 10], 20, 50) == 20  # 54 % is within the tolerance
    assert wanted([*pods(0.6, 0.6), UNREADY, UNREADY], 4, 50) == 4  # 30 % would turn the direction
    assert wanted([*pods(1.0), PodMetric(1.0, ready=False), PodMetric(1.0, ready=False)], 3, 50) == 3


def test_pods_that_are_not_ready_do_not_count_when_it_is_about_fewer():
    assert wanted([*pods(0.2, 0.2), UNREADY], 3, 50) == 1


def test_pods_without_a_metric_are_idle_for_more_and_busy_for_fewer():
    assert wanted(pods(1.0, 1.0, None), 3, 50) == 4
    assert wanted(pods(0.2, 0.2, 0.2, None), 4, 50) == 4  # 40 % of 4: 3.2, rounded up
    assert wanted(pods(0.1, 0.1, 0.1, None), 4, 50) == 3  # 32 % of 4: 2.56, rounded up
    assert wanted(pods(0.4, None), 2, 50) == 2  # 70 % would turn the direction
    assert wanted(pods(None, None), 2, 50) == 2


@pytest.mark.parametrize(
    ("total", "replicas"),
    [
        (60, 6),  # 30 each where 10 are desired
        (61, 7),
        (22, 2),  # within the tolerance of 0.1
        (18, 2),
        (23, 3),
        (17, 2),  # 1.7, rounded up
        (10, 1),
        (0, 0),
    ],
)
def test_a_number_that_all_share_is_divided_by_the_part_of_each(total, replicas):
    assert wanted_for(total, 2, 10) == replicas


AT_HAND = replace(PLAIN, at_hand=4.0, down=Rules(0.0, (Policy("Percent", 100, 15.0),)))


@pytest.mark.parametrize(
    ("usage", "at_hand", "replicas"),
    [
        (0.5, 24.0, 6),  # CPU is at its target, and six are needed for the requests at hand
        (1.0, 8.0, 4),  # the other way round
        (1.0, 24.0, 6),  # both want more: the larger one
        (0.2, 3.0, 1),  # both want fewer: the larger one
        (0.2, 8.0, 2),
        (1.0, None, 4),  # without a metric the other one adds
        (0.2, None, 2),  # and does not remove
        (None, 24.0, 6),
        (None, 1.0, 2),
        (None, None, 2),
    ],
)
def test_of_two_metrics_the_one_that_wants_more_decides(usage, at_hand, replicas):
    assert Autoscaler(AT_HAND).decide(0.0, pods(usage, usage), 2, at_hand) == replicas


def test_pods_that_start_count_among_those_that_share():
    assert Autoscaler(AT_HAND).decide(0.0, [*pods(0.5, 0.5), UNREADY, UNREADY], 4, 16.0) == 4


def test_a_queue_that_comes_and_goes_moves_replicas_once():
    scaler = Autoscaler(replace(AT_HAND, down=Rules(300.0, (Policy("Pods", 1, 60.0),))))
    replicas, seen = 2, []
    for turn in range(20):
        replicas = scaler.decide(15.0 * turn, pods(*[0.3] * replicas), replicas, 20.0 if turn % 4 == 0 else 0.0)
        seen.append(replicas)
    assert seen == [5] * 20


def test_up_by_four_pods_or_to_twice_as_many_within_15_seconds():
    scaler = Autoscaler(PLAIN)
    assert scaler.decide(0.0, pods(5.0), 1) == 5
    assert scaler.decide(10.0, pods(*[5.0] * 5), 5) == 5  # 1 + 4 within the period
    assert scaler.decide(15.0, pods(*[5.0] * 5), 5) == 10
    assert scaler.decide(30.0, pods(*[5.0] * 10), 10) == 20


def test_never_more_or_less_than_the_bounds():
    assert Autoscaler(replace(PLAIN, most=3)).decide(0.0, pods(5.0), 1) == 3
    assert Autoscaler(replace(PLAIN, least=2, down=Rules(0.0, PLAIN.down.policies))).decide(0.0, pods(0, 0, 0), 3) == 2


def test_down_one_pod_a_minute_after_the_highest_recommendation_of_five():
    scaler = Autoscaler(Autoscaling(1, 100, 50, down=Rules(300.0, (Policy("Pods", 1, 60.0),))))
    assert scaler.decide(0.0, pods(*[0.5] * 10), 10) == 10
    calm = {moment: scaler.decide(moment, pods(*[0.1] * 10), 10) for moment in (15.0, 150.0, 285.0)}
    assert set(calm.values()) == {10}
    assert scaler.decide(301.0, pods(*[0.1] * 10), 10) == 9
    assert scaler.decide(330.0, pods(*[0.1] * 9), 9) == 9
    assert scaler.decide(361.0, pods(*[0.1] * 9), 9) == 8


def test_a_window_for_scaling_up_takes_the_lowest():
    scaler = Autoscaler(replace(PLAIN, up=Rules(60.0, (Policy("Percent", 900, 15.0),))))
    assert scaler.decide(0.0, pods(0.5, 0.5), 2) == 2
    assert scaler.decide(30.0, pods(5.0, 5.0), 2) == 2
    assert scaler.decide(61.0, pods(5.0, 5.0), 2) == 20


def grown(delays: Delays) -> list[tuple[float, int, int]]:
    """The history of one pod of a core that is busy from its first second on, with readings and decisions at once."""
    loop = Loop()
    group = Group(loop, lambda ready: Pod(1.0, loop.now, ready), 1, delays.found)
    tier = Tier("x", 1.0, 1.0, 1.0, 1.0, Autoscaling(1, 2, 50))
    group.follow(tier, Autoscaler(tier.autoscaling), delays, (0.0, 0.0))
    group.pods[0].cores.take(0.0, 1000.0)
    loop.run(100.0)
    return group.history


def test_a_pod_comes_after_metrics_decision_start_and_look_up():
    assert grown(Delays(start=7.0, metrics=10.0, age=0.0, found=2.0)) == [(0.0, 1, 1), (15.0, 2, 1), (24.0, 2, 2)]


def test_a_reading_counts_once_it_can_be_seen():
    assert grown(Delays(start=7.0, metrics=10.0, age=6.0, found=0.0))[1] == (30.0, 2, 1)


def test_a_reading_from_before_a_pod_was_ready_does_not_count():
    loop = Loop()
    group = Group(loop, lambda ready: Pod(1.0, loop.now, ready), 1)
    rules = Autoscaling(1, 2, 50, down=Rules(0.0, (Policy("Pods", 1, 15.0),)))
    delays = Delays(start=7.0, metrics=10.0, age=0.0, found=0.0)
    group.follow(Tier("x", 1.0, 1.0, 1.0, 1.0, rules), Autoscaler(rules), delays, (0.0, 0.1))
    oldest = group.pods[0].cores
    oldest.take(0.0, 20.0)
    loop.at(20.0, lambda: oldest.take(20.0, 4.8))  # from now on what one pod is to do
    loop.run(32.0)
    assert group.history == [(0.0, 1, 1), (16.5, 2, 1), (23.5, 2, 2)]


def test_pods_beyond_what_is_needed_get_no_more_and_go():
    loop = Loop()
    group = Group(loop, lambda ready: Pod(1.0, loop.now, ready), 3)
    rules = Autoscaling(1, 9, 50, down=Rules(0.0, (Policy("Pods", 1, 15.0),)))
    group.follow(Tier("x", 1.0, 1.0, 1.0, 1.0, rules), Autoscaler(rules), Delays(5.0, 15.0, 0.0, 0.0), (0.0, 0.5))
    oldest = group.pods[0]
    loop.run(60.0)
    assert group.pods == group.serving == [oldest]
    assert [entry[1:] for entry in group.history] == [(3, 3), (2, 2), (1, 1)]
