"""The gateways' numbers about the canary: read from each pod, summed, and counted from the moment it began.

A gateway counts from its own start. So what each had counted when the canary began is kept, and taken off.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from scripts.canary.errors import CanaryError
from scripts.canary.kubectl import Kubectl, Object
from scripts.canary.overlay import GATEWAY

Samples = Mapping[str, float]  # by series, as the page has it: name{label="value"}
_OURS = re.compile(r"^((?:gateway_canary_|gateway_shadow_|gateway_model_seconds)\w*(?:\{.*\})?) (\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def parse(page: str) -> dict[str, float]:
    """The series about canary and shadow on a page of ``/metrics``."""
    return {series: float(value) for series, value in _OURS.findall(page)}


def read(kubectl: Kubectl) -> dict[str, dict[str, float]]:
    """The series of each gateway that takes requests, by its pod's uid.

    Raises:
        CanaryError: A gateway's metrics cannot be read, as without the key that they may need.
    """
    return {pod["metadata"]["uid"]: _page(kubectl, pod) for pod in kubectl.pods(GATEWAY) if _is_ready(pod)}


def since(began: Mapping[str, Samples], now: Mapping[str, Samples]) -> Samples:
    """What all gateways counted together since the canary began, by series.

    A process that started again in the same pod counts from 0. What a pod counted that is gone, is gone.
    """
    total: dict[str, float] = defaultdict(float)
    for pod, samples in now.items():
        before = began.get(pod, {})
        restarted = any(samples.get(series, 0) < value for series, value in before.items())
        for series, value in samples.items():
            total[series] += value - (0 if restarted else before.get(series, 0))
    return total


def by_label(samples: Samples, name: str, label: str) -> dict[str, float]:
    """The values of a metric by one of its labels."""
    found: dict[str, float] = defaultdict(float)
    for labels, value in _of(samples, name):
        found[labels.get(label, "")] += value
    return dict(found)


def total(samples: Samples, name: str) -> float:
    """The sum of a metric over its labels."""
    return sum(value for _, value in _of(samples, name))


def buckets(samples: Samples, name: str, **labels: str) -> dict[float, float]:
    """A histogram: how many values are at most as large as each bound; the last bound is infinite."""
    found: dict[float, float] = defaultdict(float)
    for given, value in _of(samples, f"{name}_bucket"):
        if labels.items() <= given.items():
            found[float(given["le"])] += value
    return dict(sorted(found.items()))


def _of(samples: Samples, name: str) -> Iterator[tuple[dict[str, str], float]]:
    for series, value in samples.items():
        if series.partition("{")[0] == name:
            yield dict(_LABEL.findall(series)), value


def _page(kubectl: Kubectl, pod: Object) -> dict[str, float]:
    (container,) = [one for one in pod["spec"]["containers"] if one["name"] == GATEWAY]
    port = container["readinessProbe"]["httpGet"]["port"]  # metrics are where the probes are
    numbers = {one.get("name"): one["containerPort"] for one in container["ports"]}
    name = pod["metadata"]["name"]
    path = f"/api/v1/namespaces/{kubectl.namespace}/pods/{name}:{numbers.get(port, port)}/proxy/metrics"
    try:
        return parse(kubectl("get", "--raw", path))
    except CanaryError as error:
        raise CanaryError(
            f"the metrics of {name} cannot be read. If they need a key, add the component admin-port.\n{error}"
        ) from None


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", [])
    return ("Ready", "True") in [(condition["type"], condition["status"]) for condition in conditions]
