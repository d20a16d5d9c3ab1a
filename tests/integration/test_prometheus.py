"""A real Prometheus scrapes both tiers: each query of the dashboard, and each series that an alert needs, has data."""

import contextlib
import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
import requests
import yaml

from brain_tumor.processes import free_port, responds
from portable_model_server.serving.config import metrics_path
from tests import processes
from tests.brain_tumor import images
from tests.gateway.fake_model_server import REFERENCE, FakeModel, abort_with, fake_model_server, metadata
from tests.integration.requests_ import predict
from tests.kube_config.manifests import KUBE_CONFIG, rule_groups
from tests.processes import ROOT

DASHBOARD = json.loads((KUBE_CONFIG / "components" / "dashboard" / "brain-tumor.json").read_text())
QUERIES = {
    f"{panel['title']} {target['refId']}": target["expr"].replace("$namespace", "a").replace("$__rate_interval", "10s")
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
}
RULES = rule_groups()
# What the tiers publish themselves; the rest is kube-state-metrics'.
SELECTOR = re.compile(r"(?<![\w:])gateway_\w+(?:\{[^}]*\})?")
# 13 lists of 16 images fill the short window of a model with reference histograms.
MOST_REQUESTS = 300  # of each kind; data is there after two scrapes and an evaluation of the rules


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of a Prometheus that scrapes both tiers, and a function that sends every kind of request."""
    program = shutil.which("prometheus") or pytest.skip("needs Debian's prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    config = ROOT / "model-server" / "monitoring.config"
    with contextlib.ExitStack() as stack:
        shipped = stack.enter_context(
            processes.model_server(folder / "model-server", f"--monitoring_config_file={config}")
        )
        gateway = stack.enter_context(processes.gateway(folder / "gateway", shipped.port))
        fake = stack.enter_context(fake_model_server())
        fake.model = FakeModel(metadata(reference=REFERENCE, out_of_distribution_threshold=-7.0))
        with_reference = stack.enter_context(processes.gateway(folder / "with-reference", fake.port))
        shares = folder / "canary.toml"
        shares.write_text("share = 50\nshadow = 100\n")
        trial = {"CANARY_SERVER_ADDRESS": f"127.0.0.1:{shipped.port}", "GATEWAY_CANARY_FILE": str(shares)}
        with_canary = stack.enter_context(processes.gateway(folder / "with-canary", shipped.port, **trial))
        jobs = [
            ("gateway", "/metrics", [gateway.port, with_reference.port, with_canary.port]),
            ("model-server", metrics_path(config.read_text()), [shipped.rest_port]),
        ]
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [
            program,
            f"--config.file={configure(folder, jobs)}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        child = stack.enter_context(processes.process(command, folder / "log"))
        processes.wait_until_up(child, lambda: responds(f"{url}/-/ready"), folder / "log")

        def send() -> None:
            predict(gateway.url)
            predict(with_canary.url)
            requests.post(f"{gateway.url}/predict", json={"url": "http://127.0.0.1/"}, timeout=30)
            fake.fault = None
            requests.post(
                f"{with_reference.url}/predict", files=[("image", images.GLIOMA)] * 16, timeout=30
            ).raise_for_status()
            fake.fault = abort_with(grpc.StatusCode.UNAVAILABLE)
            assert predict(with_reference.url).status_code == 503

        yield url, send


def configure(folder: Path, jobs: list[tuple[str, str, list[int]]]) -> Path:
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": RULES}))
    configuration = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {
                "job_name": name,
                "metrics_path": path,
                "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports], "labels": {"namespace": "a"}}],
            }
            for name, path, ports in jobs
        ],
    }
    path = folder / "prometheus.yaml"
    path.write_text(yaml.safe_dump(configuration))
    return path


def values(url: str, query: str) -> list[float]:
    """The numbers that a query gives now."""
    response = requests.get(f"{url}/api/v1/query", {"query": query}, timeout=10)
    assert response.status_code == 200, f"{query}: {response.text}"
    found = [float(sample["value"][1]) for sample in response.json()["data"]["result"]]
    return [value for value in found if value == value]  # NaN is no data


def assert_data(url: str, send: Callable[[], None], queries: set[str]) -> None:
    """Each query gives a number while requests are sent."""
    missing = queries
    for _ in range(MOST_REQUESTS):
        send()
        missing = {query for query in missing if not values(url, query)}
        if not missing:
            return
    raise AssertionError(f"no data: {sorted(missing)}")


def test_each_query_of_the_dashboard_gives_data(prometheus: tuple[str, Callable[[], None]]) -> None:
    assert len(QUERIES) > 20
    assert_data(*prometheus, set(QUERIES.values()))


def test_each_series_that_an_alert_needs_is_published(prometheus: tuple[str, Callable[[], None]]) -> None:
    rules = list(itertools.chain.from_iterable(group["rules"] for group in RULES))
    selectors = {selector for rule in rules for selector in SELECTOR.findall(rule["expr"])}
    # The long window looks the same, and needs 2,000 images.
    selectors = {selector.replace('window="2000"', 'window="200"') for selector in selectors}
    assert len(selectors) > 6
    recorded = {rule["record"] for rule in rules if "record" in rule}
    assert_data(*prometheus, selectors | recorded)
    url, _ = prometheus
    groups = requests.get(f"{url}/api/v1/rules", timeout=10).json()["data"]["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
