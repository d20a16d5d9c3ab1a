"""The README's commands: apply, forward a port, send an image with curl."""

import json
import re
import shlex
import subprocess

from tests.e2e.load import same_prediction
from tests.processes import ROOT, free_port, listens, wait_until

README = (ROOT / "README.md").read_text()


def test_the_response_to_the_readme_s_request(direct, kubectl, expected, report):
    (forward,) = re.findall(r"^kubectl .*port-forward .*$", README, re.MULTILINE)
    curl = re.findall(r"^curl -F image=@examples/glioma.jpg .*/predict$", README, re.MULTILINE)[0]
    port = free_port()
    words = shlex.split(forward.replace("--namespace brain-tumor", f"--namespace {kubectl.namespace}"))
    words[-1] = words[-1].replace("9696:", f"{port}:")
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as forwarding:
        try:
            wait_until(lambda: listens(port), "the forwarded port")
            command = shlex.split(curl.replace(":9696", f":{port}"))
            done = subprocess.run(
                [*command, "--silent", "--fail"], cwd=ROOT, capture_output=True, timeout=60, check=True
            )
        finally:
            forwarding.terminate()
    response = json.loads(done.stdout)
    report(f"{curl} -> {response['class']} {response['probabilities'][response['class']]:.6f}")
    assert same_prediction((response["class"], response["probabilities"]), expected["glioma"])


def test_nothing_in_the_namespace_may_have_privileges(stage, kubectl):
    namespace = kubectl.get("namespace", kubectl.namespace)
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    refused = kubectl("run", "root", "--image=brain-tumor-e2e", "--dry-run=server", check=False)
    assert 'violates PodSecurity "restricted' in refused
