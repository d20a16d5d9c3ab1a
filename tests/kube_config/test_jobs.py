"""The Jobs that classify many images: valid, restricted, and as the client and the gateway need them."""

import re
import shutil
from pathlib import Path

import pytest
import yaml
from kubernetes_validate import latest_version, validate

from brain_tumor_client.command.arguments import parse
from brain_tumor_client.command.exit_code import ExitCode
from gateway import VERSION
from tests.kube_config.manifests import (
    JOBS,
    KUBE_CONFIG,
    OLDEST,
    Object,
    assert_restricted,
    build,
    build_with,
    of_kind,
    one,
)
from tests.kube_config.network_policy import Endpoint, Outside, Pod, allows
from tests.processes import ROOT

MERGE = KUBE_CONFIG / "jobs" / "merge"
DOCUMENT = (ROOT / "docs" / "client.md").read_text()
NAMESPACE = "brain-tumor"
GATEWAY = Pod(NAMESPACE, {"app.kubernetes.io/name": "gateway"}, {"http": 9696})
OTHERS: dict[str, Endpoint] = {
    "gateway": GATEWAY,
    "model server": Pod(NAMESPACE, {"app.kubernetes.io/name": "model-server"}, {"grpc": 8500}),
    "neighbour": Pod(NAMESPACE),
    "elsewhere": Pod("elsewhere", {"app.kubernetes.io/name": "gateway"}),
    "dns": Pod("kube-system", {"k8s-app": "kube-dns"}),
    "node's dns": Outside("169.254.20.10"),
    "internet": Outside("8.8.8.8"),
    "the node's credentials": Outside("169.254.169.254"),
    "EKS' credentials": Outside("169.254.170.23"),
}
PORTS = (53, 80, 443, 6443, 8500, 8501, 9696, 9697)
IN_THE_CLUSTER = {("gateway", 9696), ("dns", 53), ("node's dns", 53)}
TO_S3 = {(name, 443) for name in OTHERS} - {("gateway", 443), ("model server", 443)}


@pytest.fixture(params=[*JOBS, MERGE], ids=lambda path: path.name)
def objects(request) -> list[Object]:
    return build(request.param)


@pytest.fixture(params=JOBS, ids=lambda path: path.name)
def classifying(request) -> list[Object]:
    return build(request.param)


def job_of(objects: list[Object]) -> Object:
    (job,) = of_kind(objects, "Job")
    return job


def container_of(objects: list[Object]) -> Object:
    (container,) = job_of(objects)["spec"]["template"]["spec"]["containers"]
    return container


def words_of(objects: list[Object], index: int = 0) -> list[str]:
    """The words of the command, as Kubernetes gives them to the pod of an index."""
    container, name = container_of(objects), job_of(objects)["metadata"]["name"]
    values = {variable["name"]: variable.get("value") for variable in container["env"]}
    values |= {"JOB_NAME": name, "JOB_COMPLETION_INDEX": str(index)}
    words = [*container["command"], *container.get("args", [])]
    return [re.sub(r"\$\((\w+)\)", lambda match: values[match[1]], word) for word in words]


@pytest.mark.parametrize("version", [OLDEST, latest_version()])
def test_every_object_is_valid(objects, version):
    for manifest in objects:
        validate(manifest, version, strict=True)
        assert manifest["metadata"]["namespace"] == NAMESPACE


def test_the_pods_are_restricted(objects):
    pod, container = job_of(objects)["spec"]["template"]["spec"], container_of(objects)
    assert_restricted(pod, container)
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == one(objects, "ServiceAccount", "classify")["metadata"]["name"]
    assert {"cpu", "memory", "ephemeral-storage"} == set(container["resources"]["limits"])
    assert all(volume.keys() & {"emptyDir", "persistentVolumeClaim"} for volume in pod["volumes"])
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/results", "/tmp"}


def test_the_container_image_and_its_user(objects):
    assert container_of(objects)["image"] == f"brain-tumor-client:{VERSION}"
    context = job_of(objects)["spec"]["template"]["spec"]["securityContext"]
    dockerfile = (ROOT / "client" / "Dockerfile").read_text()
    assert f"USER {context['runAsUser']}:{context['runAsGroup']}\n" in dockerfile
    assert context["fsGroup"] == context["runAsGroup"]
    assert f"> /usr/local/bin/{container_of(objects)['command'][0]} " in dockerfile


def test_each_index_has_its_shard_and_its_own_results(classifying):
    count = job_of(classifying)["spec"]["completions"]
    parsed = [parse(words_of(classifying, index)[1:]) for index in range(count)]
    assert [arguments.shard for arguments in parsed] == [(index, count) for index in range(count)]
    assert len({arguments.out for arguments in parsed}) == count
    name = job_of(classifying)["metadata"]["name"]
    assert [arguments.out for arguments in parsed] == [
        Path(f"/results/{name}/part-{index}-of-{count}.csv") for index in range(count)
    ]
    assert all(arguments.resume and not arguments.restart and arguments.wait > 30 for arguments in parsed)


def test_another_number_of_shards_is_written_in_one_place(tmp_path):
    shutil.copytree(KUBE_CONFIG, tmp_path / "kube-config")
    file = tmp_path / "kube-config" / "jobs" / "volume" / "job.yaml"
    document = yaml.safe_load(file.read_text())
    document["spec"]["completions"] = 7
    file.write_text(yaml.safe_dump(document))
    objects = build(file.parent)
    assert job_of(objects)["spec"]["completions"] == 7
    assert parse(words_of(objects, 6)[1:]).shard == (6, 7)


def test_the_merge_reads_what_the_job_over_a_volume_writes():
    job = build(KUBE_CONFIG / "jobs" / "volume")
    merge = build(MERGE)
    arguments = parse(words_of(merge)[1:])
    assert arguments.tables == [parse(words_of(job)[1:]).out.parent]
    assert arguments.out.parent == arguments.tables[0].parent
    assert arguments.restart
    assert job_of(merge)["metadata"]["name"] != job_of(job)["metadata"]["name"]


def test_exit_codes(objects):
    spec = job_of(objects)["spec"]
    rules = spec["podFailurePolicy"]["rules"]
    codes = {
        rule["action"]: [ExitCode(code) for code in rule["onExitCodes"]["values"]]
        for rule in rules
        if "onExitCodes" in rule
    }
    assert codes == {"FailIndex": [ExitCode.USAGE, ExitCode.KEY_REFUSED], "Ignore": [ExitCode.TERMINATED]}
    (disruptions,) = [rule for rule in rules if "onPodConditions" in rule]
    assert disruptions == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    # Only so are pods replaced when they have ended, as two of one index should not run at a time.
    assert spec["podReplacementPolicy"] == "Failed"
    assert "ttlSecondsAfterFinished" not in spec
    assert spec["activeDeadlineSeconds"] > 24 * 3600


def test_the_client_reads_the_variables(classifying, monkeypatch):
    for variable in container_of(classifying)["env"]:
        monkeypatch.setenv(variable["name"], variable.get("value", "of the Secret"))
    arguments = parse(words_of(classifying)[1:])
    gateway = one(build(KUBE_CONFIG / "base"), "Service", "gateway")
    assert arguments.url == f"http://{gateway['metadata']['name']}"
    assert [port["port"] for port in gateway["spec"]["ports"]] == [80]
    assert arguments.api_key == "of the Secret"


def test_the_document_names_the_secrets_and_claims(classifying):
    container, pod = container_of(classifying), job_of(classifying)["spec"]["template"]["spec"]
    (key,) = (variable["valueFrom"]["secretKeyRef"] for variable in container["env"] if "API_KEY" in variable["name"])
    assert f"kubectl create secret generic {key['name']}" in DOCUMENT
    assert f"--from-file={key['key']}`" in DOCUMENT
    secrets = [source["secretRef"]["name"] for source in container.get("envFrom", [])]
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"] if "emptyDir" not in volume]
    assert all(f"`{name}`" in DOCUMENT for name in (*secrets, *claims))


@pytest.mark.parametrize(
    ("name", "more"), [("volume", set()), ("s3", TO_S3 | {("EKS' credentials", 80)})], ids=["volume", "s3"]
)
def test_the_pods_reach_the_gateway_and_what_they_read_and_nobody_reaches_them(name, more, tmp_path):
    objects = build(KUBE_CONFIG / "jobs" / name)
    labels = job_of(objects)["spec"]["template"]["metadata"]["labels"]
    ours = Pod(NAMESPACE, labels)
    policies = of_kind([*build_with(tmp_path, "network-policies"), *objects], "NetworkPolicy")
    protocols = {53: ("TCP", "UDP")}
    reached = {
        (other, port)
        for other, endpoint in OTHERS.items()
        for port in PORTS
        if all(allows(policies, ours, endpoint, port, protocol) for protocol in protocols.get(port, ("TCP",)))
    }
    # The neighbour lets nobody in.
    assert reached == IN_THE_CLUSTER | more - {("neighbour", 443)}
    assert not any(allows(policies, endpoint, ours, port) for endpoint in OTHERS.values() for port in PORTS)
