"""The component oauth2-proxy: its objects fit each other, the gateway, and what docs/keys.md tells an operator."""

import re
import shutil
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from brain_tumor.contract import MODEL_NAME
from gateway.app import create_app
from gateway.model.client import ModelClient
from gateway.settings import Settings
from tests.kube_config.manifests import (
    KUBE_CONFIG,
    Object,
    assert_restricted,
    build,
    build_with,
    container_of,
    one,
    pod_of,
)
from tests.processes import ROOT

NAME = "oauth2-proxy"
LABEL = {"app.kubernetes.io/name": NAME}
OWN_SETTINGS = {"OIDC_ISSUER_URL", "OIDC_ALLOWED_GROUPS", "OAUTH2_PROXY_EMAIL_DOMAINS"}  # the operator's
DOCUMENT = (ROOT / "docs" / "keys.md").read_text()


def config_map(objects: list[Object], reference: str) -> dict[str, str]:
    return one(objects, "ConfigMap", reference)["data"]


def settings(objects: list[Object], ours: bool = True) -> dict[str, str]:
    """The component's settings, or the operator's, which stand last: they win."""
    component, operator = (source["configMapRef"]["name"] for source in container_of(objects, NAME)["envFrom"])
    return config_map(objects, component if ours else operator)


def sources(objects: list[Object]) -> tuple[Object, Object]:
    """What is mounted: the ConfigMap with the file, and the Secret."""
    (volume,) = pod_of(objects, NAME)["volumes"]
    file, secret = volume["projected"]["sources"]
    return file["configMap"], secret["secret"]


def configuration(objects: list[Object]) -> dict[str, Any]:
    """The file, with the names of variables in place of their values."""
    ((name, text),) = config_map(objects, sources(objects)[0]["name"]).items()
    (mount,) = container_of(objects, NAME)["volumeMounts"]
    assert container_of(objects, NAME)["args"] == [f"--alpha-config={mount['mountPath']}/{name}"]
    return yaml.safe_load(re.sub(r"\$\{(\w+)\}", r"\1", text))


@pytest.fixture
def upstream(everything) -> dict[str, Any]:
    (upstream,) = configuration(everything)["upstreamConfig"]["upstreams"]
    return upstream


def test_one_name_leads_to_the_pods(everything):
    deployment = one(everything, "Deployment", NAME)["spec"]
    assert deployment["selector"] == {"matchLabels": LABEL}
    assert LABEL.items() <= deployment["template"]["metadata"]["labels"].items()
    assert one(everything, "Service", NAME)["spec"]["selector"] == LABEL
    assert one(everything, "PodDisruptionBudget", NAME)["spec"]["selector"] == {"matchLabels": LABEL}
    assert one(everything, "NetworkPolicy", NAME)["spec"]["podSelector"] == {"matchLabels": LABEL}
    (rule,) = one(everything, "NetworkPolicy", "gateway")["spec"]["ingress"][0]["from"]
    assert rule == {"podSelector": {"matchLabels": LABEL}}


def test_disruptions_leave_a_replica(everything):
    deployment = one(everything, "Deployment", NAME)["spec"]
    assert deployment["replicas"] >= 2
    assert deployment["strategy"] == {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert one(everything, "PodDisruptionBudget", NAME)["spec"]["maxUnavailable"] == 1


def test_restricted_and_without_a_token(everything):
    pod, container = pod_of(everything, NAME), container_of(everything, NAME)
    assert_restricted(pod, container)
    assert pod["serviceAccountName"] == NAME
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_what_is_tested_is_what_runs(everything):
    version = container_of(everything, NAME)["image"].partition(":")[2]
    assert re.fullmatch(r"v\d+\.\d+\.\d+", version)
    assert re.findall(r"oauth2-proxy/v7@(v[\d.]*\d)", (ROOT / "CONTRIBUTING.md").read_text()) == [version]


def test_ports(everything, upstream):
    (port,) = container_of(everything, NAME)["ports"]
    assert configuration(everything)["server"]["bindAddress"] == f":{port['containerPort']}"  # both families
    (service,) = one(everything, "Service", NAME)["spec"]["ports"]
    assert service["targetPort"] == port["name"]
    assert upstream["uri"] == "http://gateway"
    assert [port["port"] for port in one(everything, "Service", "gateway")["spec"]["ports"]] == [80]


def test_times(everything, upstream):
    limits = Settings()
    timeout = int(upstream["timeout"].removesuffix("s"))
    sleep = container_of(everything, NAME)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert timeout > limits.deadline
    assert pod_of(everything, NAME)["terminationGracePeriodSeconds"] > sleep + limits.upload_timeout + limits.deadline


def test_the_gateway_gets_no_token_and_no_cookie_of_a_person(everything):
    headers = {header["name"]: header["values"] for header in configuration(everything)["injectRequestHeaders"]}
    assert headers == {"Authorization": [{"secretSource": {"fromEnv": "GATEWAY_AUTHORIZATION"}}], "Cookie": []}
    variables = {variable["name"]: variable for variable in container_of(everything, NAME)["env"]}
    assert variables["GATEWAY_AUTHORIZATION"]["value"] == "Bearer $(GATEWAY_KEY)"
    # A variable can only name one that stands before it.
    assert [*variables].index("GATEWAY_KEY") < [*variables].index("GATEWAY_AUTHORIZATION")
    assert variables["GATEWAY_KEY"]["valueFrom"]["secretKeyRef"]["optional"] is True


def test_the_operator_makes_every_secret_and_says_who_may_come_in(everything):
    _, secret = sources(everything)
    (mount,) = container_of(everything, NAME)["volumeMounts"]
    files = {f"{mount['mountPath']}/{item['path']}" for item in secret["items"]}
    (provider,) = configuration(everything)["providers"]
    given = settings(everything)
    assert files == {provider["clientSecretFile"], given["OAUTH2_PROXY_COOKIE_SECRET_FILE"]}
    references = [
        variable["valueFrom"]["secretKeyRef"]
        for variable in container_of(everything, NAME)["env"]
        if "valueFrom" in variable
    ]
    assert {secret["name"], *(reference["name"] for reference in references)} == {NAME}
    assert f"kubectl create secret generic {NAME} --namespace brain-tumor" in DOCUMENT
    for key in [*(item["key"] for item in secret["items"]), *(reference["key"] for reference in references)]:
        assert f"--from-literal={key}=" in DOCUMENT
    # Nobody is let in until the operator has said who.
    assert {provider["oidcConfig"]["issuerURL"], *provider["allowedGroups"]} <= OWN_SETTINGS
    assert not OWN_SETTINGS & given.keys()


def test_programs_get_401_where_people_get_a_login(everything):
    pattern = re.compile(settings(everything)["OAUTH2_PROXY_API_ROUTES"])
    app = create_app(Settings(), ModelClient("localhost:1", MODEL_NAME))
    for route in (rule.rule for rule in app.url_map.iter_rules()):
        for_people = route in {"/", "/docs", "/model", "/livez", "/readyz"}
        for uri in (route, f"/below{route}", f"{route}?next=/predict"):
            assert bool(pattern.search(uri)) is not for_people, uri


@pytest.fixture
def own_overlay(tmp_path) -> Callable[[str], list[Object]]:
    """A function that builds an overlay with this kustomization beside the others."""

    def build_overlay(kustomization: str) -> list[Object]:
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        folder = root / "overlays" / "own"
        shutil.copytree(KUBE_CONFIG, root)
        shutil.copytree(KUBE_CONFIG / "overlays" / "eks", folder)
        (folder / "kustomization.yaml").write_text(kustomization)
        return build(folder)

    return build_overlay


def test_the_overlay_in_the_document(own_overlay):
    (kustomization,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    objects = own_overlay(kustomization)
    given = settings(objects, ours=False)
    assert given.keys() == OWN_SETTINGS
    assert all(given.values())
    # A changed setting replaces the pods.
    changed = own_overlay(kustomization.replace("radiology", "surgery"))
    assert pod_of(objects, NAME) != pod_of(changed, NAME)


def test_with_logins_the_load_balancer_of_eks_leads_to_them(own_overlay):
    overlay = yaml.safe_load((KUBE_CONFIG / "overlays" / "eks" / "kustomization.yaml").read_text())
    overlay["components"].append(f"../../components/{NAME}")
    objects = own_overlay(yaml.safe_dump(overlay))
    ingress, container = one(objects, "Ingress", "gateway"), container_of(objects, NAME)
    (rule,) = ingress["spec"]["rules"]
    assert [path["backend"]["service"]["name"] for path in rule["http"]["paths"]] == [NAME]
    annotations = ingress["metadata"]["annotations"]
    prefix = "alb.ingress.kubernetes.io"
    assert annotations[f"{prefix}/healthcheck-port"] == str(container["ports"][0]["containerPort"])
    assert annotations[f"{prefix}/healthcheck-path"] == container["readinessProbe"]["httpGet"]["path"]
    delay = int(annotations[f"{prefix}/target-group-attributes"].rpartition("=")[2])
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] > delay
    # Auto Mode's own addresses for DNS.
    dns = [
        rule["to"] for rule in one(objects, "NetworkPolicy", NAME)["spec"]["egress"] if rule["ports"][0]["port"] == 53
    ]
    assert {"ipBlock": {"cidr": "172.20.0.10/32"}} in dns[-1]


def test_metrics_that_logins_would_lock_out_stop_the_build(tmp_path):
    with pytest.raises(AssertionError, match="podMetricsEndpoints"):
        build_with(tmp_path, "network-policies", "monitoring", NAME)
