"""kube-score finds only what we have a reason for."""

import json
import subprocess

import yaml

from tests.kube_config.manifests import JOBS, OLDEST, OVERLAYS, build_text, require
from tests.processes import ROOT

ALL_IS_WELL = 10  # kube-score's best grade
# check: why we do not follow it
ACCEPTED = {
    "container-image-pull-policy": "a tag is never used again, and kind's images are in no registry",
    "deployment-replicas": "the canary's one pod: what it does not answer, the model server does",
    "deployment-has-host-podantiaffinity": "topologySpreadConstraints spread over nodes, and do not keep a pod waiting",
}


def findings(text: str) -> set[str]:
    """The checks that failed."""
    kube_score = require("kube-score", where=str(ROOT / ".tools"))
    command = [kube_score, "score", f"--kubernetes-version=v{OLDEST}", "--output-format=json", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    checks = [check for scored in json.loads(done.stdout) for check in scored["checks"]]
    return {check["check"]["id"] for check in checks if not check["skipped"] and check["grade"] < ALL_IS_WELL}


def test_no_finding_without_a_reason(everything, on_gpus):
    built = (yaml.safe_dump_all(objects) for objects in (everything, on_gpus))
    texts = [*(build_text(folder) for folder in (*OVERLAYS, *JOBS)), *built]
    assert set().union(*(findings(text) for text in texts)) == ACCEPTED.keys()


def test_a_fault_is_found():
    text = build_text(OVERLAYS[0]).replace("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")
    assert "container-security-context-readonlyrootfilesystem" in findings(text)
