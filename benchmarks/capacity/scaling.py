"""A tier's pods in simulated time, and what makes them more or fewer: metrics, the HPA, and how long a pod starts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from benchmarks.capacity.autoscaler import SYNC, Autoscaler, PodMetric
from benchmarks.capacity.loop import Loop
from benchmarks.capacity.manifests import Tier
from benchmarks.capacity.pods import Pod

AnyPod = TypeVar("AnyPod", bound=Pod)


@dataclass(frozen=True)
class Delays:
    """What keeps the HPAs from following at once, in seconds.

    Attributes:
        start: From the decision for a new pod until it is ready.
        metrics: Between two readings of the pods' CPU.
        age: How old a reading is before an HPA can see it.
        found: Until all gateways know of a new model server.
        scrape: Between two scrapes of a gateway by Prometheus.
    """

    start: float
    metrics: float
    age: float
    found: float
    scrape: float = 15.0


class Group(Generic[AnyPod]):
    """The pods of a tier.

    Args:
        loop: The time.
        make: Makes a pod that is ready at this moment.
        replicas: Pods at the beginning, all ready.
        found: Seconds after a pod is ready until it is used.

    Attributes:
        pods: All, oldest first.
        serving: Those that are used now.
        history: ``(moment, pods, pods that serve)`` at each change.
    """

    def __init__(self, loop: Loop, make: Callable[[float], AnyPod], replicas: int, found: float = 0.0) -> None:
        self._loop = loop
        self._make = make
        self._found = found
        self.pods = [make(0.0) for _ in range(replicas)]
        self.serving = list(self.pods)
        self.history = [(0.0, replicas, replicas)]

    def follow(
        self,
        tier: Tier,
        rules: Autoscaler,
        delays: Delays,
        phases: tuple[float, float],
        at_hand: Callable[[], float | None] = lambda: None,
    ) -> None:
        """Let an HPA decide from now on.

        Args:
            tier: Its CPU requests.
            rules: The HPA.
            delays: What keeps it back.
            phases: The moments of the first reading and of the first decision, within their intervals.
            at_hand: The requests at hand of all gateways, as Prometheus knows them; None if it knows nothing.
        """
        used: dict[Pod, tuple[float, float]] = {}  # when each pod's CPU was read last, and what it was
        visible: dict[Pod, PodMetric] = {}

        def read() -> None:
            now, metrics = self._loop.now, {}
            for pod in self.pods:
                total = pod.cores.used(now)
                if pod in used:
                    before, spent = used[pod]
                    usage = (total - spent) / (now - before) / tier.cpu_request
                    # Kubernetes leaves out what began before the pod was ready.
                    metrics[pod] = PodMetric(usage, ready=before >= pod.ready)
                used[pod] = now, total
            self._loop.at(now + delays.age, visible.update, metrics)

        def decide() -> None:
            now = self._loop.now
            unknown = PodMetric(None)
            known = [
                visible.get(pod, unknown) if pod.ready <= now else PodMetric(None, ready=False) for pod in self.pods
            ]
            self._scale(rules.decide(now, known, len(self.pods), at_hand()), delays.start)

        self._loop.every(delays.metrics, phases[0] * delays.metrics, read)
        self._loop.every(SYNC, phases[1] * SYNC, decide)

    def _scale(self, replicas: int, start: float) -> None:
        now = self._loop.now
        if replicas == len(self.pods):
            return
        for _ in range(replicas - len(self.pods)):
            pod = self._make(now + start)
            self.pods.append(pod)
            self._loop.at(pod.ready + self._found, self._begin, pod)
        for pod in self.pods[replicas:]:
            if pod in self.serving:  # it completes what it has, and gets no more
                self.serving.remove(pod)
        del self.pods[replicas:]
        self._note()

    def _begin(self, pod: AnyPod) -> None:
        if pod in self.pods:
            self.serving.append(pod)
            self._note()

    def _note(self) -> None:
        self.history.append((self._loop.now, len(self.pods), len(self.serving)))
