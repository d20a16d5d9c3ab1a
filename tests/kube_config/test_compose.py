"""docker compose up gives the tiers what they have in the cluster, and nobody else reaches them."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from brain_tumor.contract import MODEL_NAME
from brain_tumor.processes import SHIPPED_MODEL
from gateway import VERSION
from gateway.settings import Settings
from portable_model_server.flags import parse
from tests.kube_config.manifests import KUBE_CONFIG, TIERS, Object, build, container_of, go_module, pod_of
from tests.model_server.dockerfiles import entrypoint
from tests.processes import ROOT

COMPOSE_GO = "github.com/compose-spec/compose-go/v2@v2.16.2"
UNITS = {"m": "Mi", "g": "Gi"}
PORTABLE, TENSORFLOW = "compose.yaml", "compose.tensorflow.yaml"


@pytest.fixture(scope="module")
def base() -> list[Object]:
    return build(KUBE_CONFIG / "base")


def project(file: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / file).read_text())


def service(tier: str, file: str = PORTABLE) -> dict[str, Any]:
    """A service, with what the file changes on the one of compose.yaml."""
    found = project(PORTABLE)["services"][tier]
    changes = project(file)["services"].get(tier, {})
    return {**found, **changes, "build": {**found["build"], **changes.get("build", {})}}


both_model_servers = pytest.mark.parametrize("file", [PORTABLE, TENSORFLOW])


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    """The Compose Specification's own schema, from its Go module."""
    file = go_module(COMPOSE_GO) / "schema/compose-spec.json"
    return Draft202012Validator(json.loads(file.read_text()))


@both_model_servers
def test_against_the_specification(schema, file):
    schema.validate(project(file))
    wrong = project(file)
    wrong["services"]["model-server"]["memory"] = "3g"
    assert not schema.is_valid(wrong)


@pytest.mark.parametrize("tier", TIERS)
@both_model_servers
def test_the_container_images_are_those_that_make_images_builds(tier, file):
    name, _, tag = service(tier, file)["image"].partition(":")
    assert tag == service(tier, file)["build"]["args"]["VERSION"] == VERSION
    dockerfile = ROOT / service(tier, file)["build"]["dockerfile"]
    assert f'image.title="{name}"' in dockerfile.read_text()


def test_the_shipped_model_unless_another_is_named():
    model = service("model-server")["build"]["args"]["MODEL"]
    assert model == f"${{MODEL_FOLDER:-{SHIPPED_MODEL.relative_to(ROOT)}}}"


@pytest.mark.parametrize("tier", TIERS)
def test_the_rights_and_limits_of_the_cluster(base, tier):
    found, pod, container = service(tier), pod_of(base, tier), container_of(base, tier)
    rights = container["securityContext"]
    assert found["read_only"] is rights["readOnlyRootFilesystem"] is True
    assert found["cap_drop"] == rights["capabilities"]["drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in found  # the Dockerfile's, which is the pod's
    assert as_kubernetes(found["mem_limit"]) == container["resources"]["limits"]["memory"]
    (volume,) = (volume for volume in pod["volumes"] if "emptyDir" in volume)
    (mount,) = container["volumeMounts"]
    path, _, size = found["tmpfs"][0].partition(":size=")
    assert (path, as_kubernetes(size)) == (mount["mountPath"], volume["emptyDir"]["sizeLimit"])
    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert int(found["stop_grace_period"][:-1]) >= pod["terminationGracePeriodSeconds"] - sleep


def as_kubernetes(size: str) -> str:
    return f"{size[:-1]}{UNITS[size[-1]]}"


def test_only_the_gateway_is_reached_and_only_from_this_machine(base):
    (port,) = service("gateway")["ports"]
    host, published, target = port.split(":")
    assert host == "127.0.0.1"
    assert published == target == str(container_of(base, "gateway")["ports"][0]["containerPort"])
    for file in (PORTABLE, TENSORFLOW):
        assert "ports" not in service("model-server", file)
        assert service("model-server", file)["networks"] == ["tiers"]
    assert service("gateway")["networks"] == ["outside", "tiers"]
    assert project(PORTABLE)["networks"]["tiers"] == {"internal": True}


def test_the_gateway_has_the_settings_of_the_cluster():
    file = service("gateway")["env_file"]
    assert file == "kube-config/base/gateway/settings.env"
    lines = [line for line in (ROOT / file).read_text().splitlines() if line and not line.startswith("#")]
    settings = Settings.from_env(dict(line.split("=", 1) for line in lines))
    assert settings.model_server.partition(":")[0] in project(PORTABLE)["services"]
    assert settings.model_name == MODEL_NAME


@both_model_servers
def test_the_model_server_s_flags(file):
    found = service("model-server", file)
    line = parse([*entrypoint((ROOT / found["build"]["dockerfile"]).read_text())[1:], *found["command"]])
    assert not line.unknown
    assert not line.refused
    assert line.flags.grpc_max_threads > Settings.max_in_flight


def test_tensorflow_serving_has_the_cluster_s_environment(base):
    environment = {
        variable["name"]: variable["value"]
        for variable in container_of(base, "model-server")["env"]
        if variable["name"].startswith("TF_")
    }
    assert service("model-server", TENSORFLOW)["environment"] == environment


@both_model_servers
def test_the_probes_of_the_cluster(base, file):
    gateway = container_of(base, "gateway")["readinessProbe"]["httpGet"]
    assert service("gateway")["healthcheck"]["test"][-2:] == ["9696", gateway["path"]]
    ports = {str(port["containerPort"]) for port in container_of(base, "model-server")["ports"]}
    assert any(port in " ".join(service("model-server", file)["healthcheck"]["test"]) for port in ports)


@pytest.mark.parametrize("tier", TIERS)
def test_a_probe_tells_by_its_exit_code(tier):
    """The command itself, with this Python, against a server that is ready only on its path."""
    *command, _port, path = service(tier)["healthcheck"]["test"][2:]

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == path else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    def exit_code(path: str, port: int) -> int:
        return subprocess.run(
            [sys.executable, *command, str(port), path], stderr=subprocess.DEVNULL, timeout=30
        ).returncode

    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            assert exit_code(path, server.server_port) == 0
            assert exit_code("/other", server.server_port) == 1
        finally:
            server.shutdown()
    assert exit_code(path, server.server_port) == 1
