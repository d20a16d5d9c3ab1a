"""Components that bring a model from elsewhere to the place where the model server looks for it."""

import re
import shlex
import shutil
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from kubernetes_validate import ValidationError, latest_version, validate

from brain_tumor.contract import MODEL_NAME
from brain_tumor_client.command.arguments import parse
from brain_tumor_client.model_fetch.version import remote_of
from gateway import VERSION
from tests.kube_config.manifests import (
    KUBE_CONFIG,
    OLDEST,
    Object,
    assert_restricted,
    build,
    build_with,
    container_of,
    of_kind,
    one,
    pod_of,
)
from tests.kube_config.network_policy import Endpoint, Outside, Pod, allows
from tests.kube_config.read_by_programs import model_server_flags
from tests.processes import ROOT

WAYS = ("model-fetch", "model-volume", "model-image-volume")
WITH_IMAGE_VOLUMES = "1.33"  # from which the restricted Pod Security standard admits them
DOCUMENT = (ROOT / "docs" / "your-model.md").read_text()
UNITS = {"Mi": 1 << 20, "Gi": 1 << 30}
NAMESPACE = "brain-tumor"
LABELS = {"app.kubernetes.io/name": "model-server"}
OTHERS: dict[str, Endpoint] = {
    "gateway": Pod(NAMESPACE, {"app.kubernetes.io/name": "gateway"}, {"http": 9696}),
    "neighbour": Pod(NAMESPACE),
    "dns": Pod("kube-system", {"k8s-app": "kube-dns"}),
    "node's dns": Outside("169.254.20.10"),
    "internet": Outside("8.8.8.8"),
    "internet, IPv6": Outside("2606:4700::1111"),
    "the node's credentials": Outside("169.254.169.254"),
    "EKS' credentials": Outside("169.254.170.23"),
    "GKE's credentials": Outside("169.254.169.252"),
}
PORTS = (22, 53, 80, 443, 988, 6443, 8500, 9696)


@pytest.fixture(scope="module", params=WAYS)
def way(request, tmp_path_factory) -> list[Object]:
    return build_with(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def fetching(tmp_path_factory) -> list[Object]:
    return build_with(tmp_path_factory.mktemp("fetching"), "model-fetch", "network-policies")


@pytest.fixture
def fetch(fetching) -> Object:
    (container,) = pod_of(fetching, "model-server")["initContainers"]
    return container


def volume_of(objects: list[Object]) -> Object:
    (volume,) = (volume for volume in pod_of(objects, "model-server")["volumes"] if volume["name"] == "model")
    return volume


def mounts_of(container: Object) -> list[Object]:
    return [mount for mount in container["volumeMounts"] if mount["name"] == "model"]


def words_of(container: Object, **changes: str) -> list[str]:
    """The words of the command, as Kubernetes makes them of the container's variables."""
    values = {variable["name"]: variable["value"] for variable in container["env"]} | changes
    return [re.sub(r"\$\((\w+)\)", lambda match: values[match[1]], word) for word in container["command"]]


def size(text: str) -> int:
    """Bytes."""
    return int(text[:-2]) * UNITS[text[-2:]]


def documented(component: str) -> Object:
    """The overlay of a component that the document has."""
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)]
    (overlay,) = (block for block in blocks if block.get("components") == [f"../../components/{component}"])
    return overlay


def test_the_model_server_reads_it_where_its_flags_say(way):
    (mount,) = mounts_of(container_of(way, "model-server"))
    assert mount["mountPath"] == model_server_flags(way).model_base_path
    assert Path(mount["mountPath"]).name == MODEL_NAME
    assert mount["readOnly"] is True
    assert "subPath" not in mount  # through which a renamed folder would not appear


@pytest.mark.parametrize("version", [WITH_IMAGE_VOLUMES, latest_version()])
def test_every_object_is_valid(way, version):
    for manifest in way:
        validate(manifest, version, strict=True)


def test_kubernetes_knows_image_volumes_only_later(tmp_path):
    deployment = one(build_with(tmp_path, "model-image-volume"), "Deployment", "model-server")
    with pytest.raises(ValidationError):
        validate(deployment, OLDEST, strict=True)
    deployment = deepcopy(deployment)
    (volume,) = (one for one in deployment["spec"]["template"]["spec"]["volumes"] if one["name"] == "model")
    volume["image"]["referense"] = volume["image"].pop("reference")
    with pytest.raises(ValidationError):
        validate(deployment, latest_version(), strict=True)


def test_nothing_else_changes(tmp_path):
    """But for what a fetch takes: time, room, and a way out."""
    base = build_with(tmp_path / "base")
    for way in WAYS:
        objects = build_with(tmp_path / way, way)
        changed = [manifest for manifest in objects if manifest not in base]
        expected = {("Deployment", "model-server"), ("NetworkPolicy", "model-fetch")}
        assert {(manifest["kind"], manifest["metadata"]["name"]) for manifest in changed} <= expected
        assert bool(of_kind(objects, "NetworkPolicy")) == (way == "model-fetch")


def test_the_image_of_a_model_has_the_version_folders_at_its_top():
    dockerfile = (ROOT / "model-server" / "Dockerfile.model").read_text()
    assert re.search(r"^FROM scratch$", dockerfile, re.MULTILINE)
    assert re.search(r"^COPY --chmod=755 \$\{MODEL\} /$", dockerfile, re.MULTILINE)


def test_the_document_s_overlays(tmp_path):
    shutil.copytree(KUBE_CONFIG, tmp_path / "kube-config")

    def overlay(component: str) -> list[Object]:
        folder = tmp_path / "kube-config" / "overlays" / component
        folder.mkdir()
        whole = {"namespace": "team-a", "resources": ["../kind"], **documented(component)}
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(whole))
        return build(folder)

    fetching, mounting = overlay("model-fetch"), overlay("model-image-volume")
    (container,) = pod_of(fetching, "model-server")["initContainers"]
    arguments = parse(words_of(container)[1:])
    assert arguments.out == Path("/models/brain-tumor/7")
    values = {variable["name"]: variable["value"] for variable in container["env"]}
    assert remote_of(values["MODEL_URL"]).shown == "s3://models/brain-tumor/7.tar.gz"
    assert volume_of(mounting)["image"] == {
        "reference": "registry.example/brain-tumor-model:7",
        "pullPolicy": "IfNotPresent",
    }


def test_the_document_names_claim_and_secret(fetch, tmp_path):
    claim = volume_of(build_with(tmp_path, "model-volume"))["persistentVolumeClaim"]
    assert claim["readOnly"] is True
    assert f"The PersistentVolumeClaim `{claim['claimName']}` is yours" in DOCUMENT
    (source,) = fetch["envFrom"]
    assert source["secretRef"]["optional"] is True  # the pod's identity may do
    assert f"kubectl create secret generic {source['secretRef']['name']} " in DOCUMENT


def test_the_fetch_has_no_more_rights_than_the_model_server(fetching, fetch):
    assert_restricted(pod_of(fetching, "model-server"), fetch)
    assert fetch["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert [(mount["mountPath"], mount.get("readOnly", False)) for mount in fetch["volumeMounts"]] == [
        (model_server_flags(fetching).model_base_path, False)
    ]
    assert fetch["image"] == f"brain-tumor-client:{VERSION}"
    dockerfile = (ROOT / "client" / "Dockerfile").read_text()
    context = pod_of(fetching, "model-server")["securityContext"]
    assert f"USER {context['runAsUser']}:{context['runAsGroup']}\n" in dockerfile
    assert f"> /usr/local/bin/{fetch['command'][0]} " in dockerfile


def test_the_fetch_s_command(fetching, fetch):
    arguments = parse(words_of(fetch, MODEL_SHA256="0" * 64)[1:])
    assert str(arguments.out.parent) == model_server_flags(fetching).model_base_path
    assert not [word for word in fetch["command"] if "MODEL_URL" in word]  # it may hold a signature


def test_what_nobody_has_filled_in_is_refused(fetch, capsys):
    with pytest.raises(SystemExit):
        parse(words_of(fetch)[1:])
    assert "64 hexadecimal digits, as sha256sum prints them" in capsys.readouterr().err


def test_times_and_sizes_fit_each_other(fetching, fetch):
    arguments = parse(words_of(fetch, MODEL_SHA256="0" * 64)[1:])
    server = container_of(fetching, "model-server")
    probe = server["startupProbe"]
    start = probe["periodSeconds"] * probe["failureThreshold"]
    assert one(fetching, "Deployment", "model-server")["spec"]["progressDeadlineSeconds"] > arguments.timeout + start
    volumes = [size(volume["emptyDir"]["sizeLimit"]) for volume in pod_of(fetching, "model-server")["volumes"]]
    # The archive, and what it unpacks to. What lies in these volumes counts as the containers' own.
    assert size(volume_of(fetching)["emptyDir"]["sizeLimit"]) > 2 * arguments.max_bytes
    assert size(server["resources"]["limits"]["ephemeral-storage"]) > sum(volumes)
    for name in ("cpu", "memory"):
        assert name in fetch["resources"]["requests"]
        assert name in fetch["resources"]["limits"]


def test_the_fetch_asks_a_node_for_no_more_than_the_smallest_model_server(fetch, tmp_path):
    """Kubernetes keeps the larger of the two free for the pod."""
    small = container_of(build_with(tmp_path, "small"), "model-server")["resources"]["requests"]
    asked = fetch["resources"]["requests"]
    assert int(asked["cpu"][:-1]) <= int(small["cpu"][:-1])
    assert size(asked["memory"]) <= size(small["memory"])


def test_the_pods_reach_archives_and_credentials_and_only_gateways_reach_them(fetching):
    policies, ours = of_kind(fetching, "NetworkPolicy"), Pod(NAMESPACE, LABELS, {"grpc": 8500})
    protocols = {53: ("TCP", "UDP")}
    reached = {
        (other, port)
        for other, endpoint in OTHERS.items()
        for port in PORTS
        if all(allows(policies, ours, endpoint, port, protocol) for protocol in protocols.get(port, ("TCP",)))
    }
    ours_alone = {"gateway", "neighbour"}  # whose own policies let nobody in at 443
    assert reached == {
        *((other, 443) for other in OTHERS if other not in ours_alone),
        *(("dns", 53), ("node's dns", 53)),
        *(("EKS' credentials", 80), ("GKE's credentials", 988)),
    }
    entered = {
        (other, port) for other, endpoint in OTHERS.items() for port in PORTS if allows(policies, endpoint, ours, port)
    }
    assert entered == {("gateway", 8500)}


def test_dns_of_openshift_where_it_is_listed_before(tmp_path):
    objects = build_with(tmp_path, "model-fetch", "network-policies", "openshift")
    dns = Pod("openshift-dns", {"dns.operator.openshift.io/daemonset-dns": "default"})
    assert allows(of_kind(objects, "NetworkPolicy"), Pod(NAMESPACE, LABELS), dns, 5353, "UDP")


def test_the_archive_that_the_document_packs_is_named_by_its_version():
    (line,) = (line for line in DOCUMENT.splitlines() if line.startswith("tar --create"))
    words = shlex.split(line)
    assert words[-1] == "7"
    assert words[words.index("--directory") + 1] == f"models/{MODEL_NAME}"
