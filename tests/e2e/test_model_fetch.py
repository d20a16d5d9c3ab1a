"""The model servers fetch their model from S3: a new version under load, and an archive that is not what was meant."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator

import pytest

from brain_tumor.contract import MODEL_NAME
from tests.e2e.kubectl import Kubectl, KubectlError, name_of
from tests.e2e.load import Load
from tests.e2e.stage import OVERLAYS, Objects, Stage, deployment
from tests.processes import SHIPPED_MODEL, wait_until

VERSION = 7  # of overlays/fetched; the model in the container image is version 1

# Runs in the pod of the S3 server, with the archive as its input.
_PUT = """
import boto3, sys
keys = dict(aws_access_key_id="somebody", aws_secret_access_key="something")
s3 = boto3.client("s3", endpoint_url="http://127.0.0.1:5000", region_name="us-east-1", **keys)
s3.create_bucket(Bucket="models")
s3.put_object(Bucket="models", Key=sys.argv[1], Body=sys.stdin.buffer.read())
"""

Change = Callable[[Objects], None]


@pytest.fixture
def sha256(stage: Stage, direct: str, kubectl: Kubectl) -> Iterator[str]:
    """The checksum of an archive in S3, which holds the shipped model. Afterwards the first model serves again."""
    stage.apply(overlay=OVERLAYS / "s3")
    kubectl("wait", "--for=condition=Ready", "pod/s3", "--timeout=60s")
    archive = packed()
    key = f"{MODEL_NAME}/{VERSION}.tar.gz"
    kubectl("exec", "--stdin", "s3", "--", "python3", "-c", _PUT, key, given=archive)
    yield hashlib.sha256(archive).hexdigest()
    stage.apply()
    stage.settle()
    kubectl("delete", "networkpolicies", "model-fetch", "model-fetch-s3", "s3", "--ignore-not-found")
    kubectl("delete", "secret/model-source", "service/s3", "pod/s3", "--ignore-not-found")


def packed() -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(SHIPPED_MODEL / "1", arcname=str(VERSION))
    return archive.getvalue()


def with_checksum(sha256: str) -> Change:
    def change(objects: Objects) -> None:
        (fetch,) = deployment(objects, "model-server")["spec"]["template"]["spec"]["initContainers"]
        (variable,) = (variable for variable in fetch["env"] if variable["name"] == "MODEL_SHA256")
        variable["value"] = sha256

    return change


def versions(load: Load, service: str) -> set[int]:
    """The model versions that respond."""
    outcome = load.run(service, rate="10", seconds=2)
    return {json.loads(request.body)["model"]["version"] for request in outcome.succeeded}


def why(kubectl: Kubectl, pod: str) -> str:
    """What the init container of a pod said at its end."""
    (status,) = kubectl.get("pod", pod)["status"].get("initContainerStatuses", [{"state": {}}])
    ended = status["state"].get("terminated") or status.get("lastState", {}).get("terminated") or {}
    return str(ended.get("message"))


def test_a_model_from_s3(sha256: str, direct: str, load: Load, kubectl: Kubectl, stage: Stage, expected, report):
    assert versions(load, direct) == {1}
    with load.during(direct, rate=20, at_least=500) as outcome:
        stage.apply(with_checksum(sha256), overlay=OVERLAYS / "fetched")
        stage.settle()
    report(f"version {VERSION} fetched by each pod; {outcome}")
    assert not outcome.failed
    assert not outcome.wrong(expected)
    # The old pods still serve for a while those gateways that know them.
    wait_until(lambda: versions(load, direct) == {VERSION}, f"version {VERSION} alone", timeout=120)


def test_an_archive_that_is_not_what_was_meant(
    sha256: str, direct: str, load: Load, kubectl: Kubectl, stage: Stage, expected, report
):
    old = {name_of(pod) for pod in kubectl.pods("model-server")}
    with load.during(direct, rate=20, at_least=500) as outcome:
        stage.apply(with_checksum("0" * 64), overlay=OVERLAYS / "fetched")
        with pytest.raises(KubectlError, match="exceeded its progress deadline"):
            kubectl.rolled_out("model-server")
        (new,) = {name_of(pod) for pod in kubectl.pods("model-server")} - old
        wait_until(lambda: f"has the SHA-256 {sha256}" in why(kubectl, new), "the reason", timeout=60)
        assert {name_of(pod) for pod in kubectl.ready_pods("model-server")} == old
    report(f"{why(kubectl, new)!r}; {outcome}")
    assert not outcome.failed
    assert not outcome.wrong(expected)
    assert "something" not in kubectl("logs", new, "--container=fetch-model")  # the secret key
