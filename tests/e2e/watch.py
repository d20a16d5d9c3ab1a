"""Watches the tiers on the cluster with real tools: a Prometheus on this machine, and a Jaeger in the cluster.

Prometheus scrapes the pods through the API server, by way of ``kubectl proxy``: so it works wherever the tests do.
"""

import contextlib
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from brain_tumor.atomic import write_json
from brain_tumor.processes import free_port, responds
from tests import processes
from tests.e2e.kubectl import Kubectl, KubectlError, name_of
from tests.kube_config.manifests import rule_groups
from tests.processes import ROOT

FOR = "10s"  # in place of the alerts' own minutes
_JAEGER = ROOT / ".tools" / "jaeger"
_METRICS = {"gateway": "9696/proxy/metrics", "model-server": "8501/proxy/monitoring/prometheus/metrics"}


@dataclass(frozen=True)
class Watch:
    """What Prometheus and Jaeger know.

    Attributes:
        api: The address of ``kubectl proxy``.
        url: The address of Prometheus.
        kubectl: For the namespace that is watched.
    """

    api: str
    url: str
    kubectl: Kubectl

    def values(self, query: str) -> list[tuple[dict[str, str], float]]:
        """The labels and the number of each series that a query gives now."""
        found = self._get(f"{self.url}/api/v1/query", query=query)["data"]["result"]
        return [(series["metric"], float(series["value"][1])) for series in found]

    def firing(self) -> set[str]:
        """The alerts that fire."""
        alerts = self._get(f"{self.url}/api/v1/alerts")["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def scrapes_all(self) -> bool:
        """Whether the last scrape of each pod that is ready succeeded."""
        scraped = {labels["pod"] for labels, up in self.values("up") if up}
        return scraped >= {name_of(pod) for tier in _METRICS for pod in self.kubectl.ready_pods(tier)}

    def traces(self, since: float) -> list[set[str]]:
        """The services in each of the last traces that reach a model server, since a moment in seconds of the epoch."""
        path = f"{self.api}/api/v1/namespaces/{self.kubectl.namespace}/pods/jaeger:16686/proxy/api/traces"
        found = self._get(path, service="portable-model-server", start=int(since * 1e6), limit=20)["data"] or []
        return [{process["serviceName"] for process in trace["processes"].values()} for trace in found]

    def _get(self, url: str, **query: Any) -> Any:
        response = requests.get(url, query, timeout=20)
        response.raise_for_status()
        return response.json()


@contextlib.contextmanager
def watched(kubectl: Kubectl, folder: Path) -> Iterator[Watch]:
    """Scrape and judge a namespace by the alerts of kube-config while the block runs; ``folder`` takes what that needs.

    Each alert fires once its condition has held for ``FOR``.
    """
    program = shutil.which("prometheus") or pytest.skip("needs Debian's prometheus")
    proxy, port = free_port(), free_port()
    api, url = f"http://127.0.0.1:{proxy}", f"http://127.0.0.1:{port}"
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": _rules()}))
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(_configuration(kubectl.namespace, proxy, folder)))
    prometheus = [
        program,
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with contextlib.ExitStack() as stack:
        stack.enter_context(_pods_listed(kubectl, folder))
        for command, up in (
            (["kubectl", "proxy", f"--port={proxy}"], f"{api}/version"),
            (prometheus, f"{url}/-/ready"),
        ):
            log = folder / f"{Path(command[0]).name}.log"
            child = stack.enter_context(processes.process(command, log))
            processes.wait_until_up(child, partial(responds, up), log)
        yield Watch(api, url, kubectl)


def has_jaeger() -> bool:
    """Whether a Jaeger was built for ``start_jaeger``; docs/tracing.md says how."""
    return _JAEGER.exists()


def start_jaeger(kubectl: Kubectl) -> None:
    """Bring Jaeger into its pod, which waits for it, and wait until it takes spans."""
    kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod/jaeger", "--timeout=60s")
    bring = "cat > /tmp/part && chmod +x /tmp/part && mv /tmp/part /tmp/jaeger"
    kubectl("exec", "--stdin", "jaeger", "--", "sh", "-c", bring, given=_JAEGER.read_bytes())
    kubectl("wait", "--for=condition=Ready", "pod/jaeger", "--timeout=60s")


def _rules() -> list[dict[str, Any]]:
    """The alerts and recording rules of kube-config, with less patience."""
    groups = rule_groups()
    for group in groups:
        group["interval"] = "2s"
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = FOR
    return groups


def _configuration(namespace: str, proxy: int, folder: Path) -> dict[str, Any]:
    jobs = [
        {
            "job_name": tier,
            "file_sd_configs": [{"files": [str(folder / f"{tier}.json")]}],
            "relabel_configs": [
                {
                    "source_labels": ["pod"],
                    "target_label": "__metrics_path__",
                    "replacement": f"/api/v1/namespaces/{namespace}/pods/$1:{rest}",
                },
                # Prometheus tells targets of one address apart by their path.
                {"target_label": "__address__", "replacement": f"127.0.0.1:{proxy}"},
            ],
        }
        for tier, rest in _METRICS.items()
    ]
    return {
        "global": {"scrape_interval": "5s", "scrape_timeout": "5s", "evaluation_interval": "2s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": jobs,
    }


@contextlib.contextmanager
def _pods_listed(kubectl: Kubectl, folder: Path) -> Iterator[None]:
    """Keep the files up to date that name the pods: Debian's Prometheus cannot ask Kubernetes itself."""
    ended = threading.Event()

    def list_pods() -> None:
        while not ended.wait(1):
            for tier in _METRICS:
                with contextlib.suppress(KubectlError):  # the next time
                    targets = [
                        {"targets": [name_of(pod)], "labels": {"pod": name_of(pod), "namespace": kubectl.namespace}}
                        for pod in kubectl.ready_pods(tier)
                    ]
                    write_json(folder / f"{tier}.json", targets)

    with ThreadPoolExecutor(1) as executor:
        listing = executor.submit(list_pods)
        try:
            yield
        finally:
            ended.set()
        listing.result()
