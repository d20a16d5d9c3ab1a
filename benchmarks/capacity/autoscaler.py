"""What a HorizontalPodAutoscaler decides, by Kubernetes' documented algorithm.

Source: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/ ("Algorithm details", "Configurable
scaling behavior"), and where it leaves a choice, pkg/controller/podautoscaler of Kubernetes 1.35.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.capacity.manifests import Autoscaling, Policy

# Defaults of kube-controller-manager.
SYNC = 15.0  # seconds between two decisions
TOLERANCE = 0.1


@dataclass(frozen=True)
class PodMetric:
    """What is known of a pod: its CPU as a share of its request; None without a metric."""

    usage: float | None
    ready: bool = True  # and its metric is from after it became ready


def wanted(pods: Sequence[PodMetric], current: int, target: int) -> int:
    """The replicas that bring the mean usage to the target.

    Args:
        pods: All pods; those that are not ready, or have no metric, are at first left out.
        current: Replicas now.
        target: Percent of the request.
    """
    known = [pod.usage for pod in pods if pod.ready and pod.usage is not None]
    unready = sum(not pod.ready for pod in pods)
    missing = len(pods) - len(known) - unready
    if not known:
        return current
    ratio = _ratio(known, target)
    if missing == 0 and not (unready and ratio > 1):
        return current if _tolerated(ratio) else math.ceil(ratio * len(known))
    # Cautious: those of whom nothing is known need nothing when it is about more pods, and all when about fewer.
    known += [1.0 if ratio < 1 else 0.0] * missing
    known += [0.0] * (unready if ratio > 1 else 0)
    cautious = _ratio(known, target)
    replicas = math.ceil(cautious * len(known))
    turned = (ratio < 1) != (cautious < 1)
    against = replicas > current if cautious < 1 else replicas < current
    return current if _tolerated(cautious) or turned or against else replicas


def wanted_for(total: float, pods: int, target: float) -> int:
    """The replicas that share a number evenly, so that each has its part: a metric of type External, AverageValue.

    Args:
        total: What all have together.
        pods: All pods, ready or not.
        target: What each should have.
    """
    return pods if _tolerated(total / (target * pods)) else math.ceil(total / target)


def _tolerated(ratio: float) -> bool:
    return 1 - TOLERANCE <= ratio <= 1 + TOLERANCE


def _ratio(usages: Sequence[float], target: int) -> float:
    # Kubernetes cuts the utilization to whole percent.
    return math.floor(100 * sum(usages) / len(usages) + 1e-9) / target


@dataclass
class Autoscaler:
    """The HPA of one tier; it remembers what it recommended and changed."""

    rules: Autoscaling
    _recommended: list[tuple[float, int]] = field(default_factory=list)  # (time, replicas)
    _changes: list[tuple[float, int]] = field(default_factory=list)

    def decide(self, now: float, pods: Sequence[PodMetric], current: int, at_hand: float | None = None) -> int:
        """The replicas from now on.

        Args:
            now: Seconds, from any moment on.
            pods: What is known of the pods.
            current: Replicas now.
            at_hand: Requests that the gateways have; None if nobody knows.
        """
        rules = self.rules
        desired = wanted(pods, current, rules.target)
        if rules.at_hand is not None:
            # The metric that wants most decides. While one is unknown the others add replicas, but remove none: as if
            # it wanted those that there are.
            desired = max(desired, current if at_hand is None else wanted_for(at_hand, len(pods), rules.at_hand))
        replicas = self._stabilised(now, desired, current)
        if replicas > current:
            bounds = [self._bound(now, policy, current, +1) for policy in rules.up.policies]
            replicas = min(replicas, max(current, *bounds))
        elif replicas < current:
            bounds = [self._bound(now, policy, current, -1) for policy in rules.down.policies]
            replicas = max(replicas, min(current, *bounds))
        replicas = max(rules.least, min(rules.most, replicas))
        if replicas != current:
            self._changes.append((now, replicas - current))
        return replicas

    def _stabilised(self, now: float, desired: int, current: int) -> int:
        self._recommended.append((now, desired))
        longest = max(self.rules.up.window, self.rules.down.window)
        self._recommended = [entry for entry in self._recommended if now - entry[0] <= longest]
        lowest = min([desired, *(n for at, n in self._recommended if now - at < self.rules.up.window)])
        highest = max([desired, *(n for at, n in self._recommended if now - at < self.rules.down.window)])
        return min(max(current, lowest), highest)

    def _bound(self, now: float, policy: Policy, current: int, sign: int) -> int:
        """How far this policy lets the replicas go up (sign 1) or down (-1)."""
        changed = sum(change for at, change in self._changes if now - at < policy.period)
        start = current - changed
        if policy.kind == "Pods":
            return start + sign * policy.value
        bound = start * (1 + sign * policy.value / 100)
        return math.ceil(bound) if sign > 0 else math.floor(bound)
