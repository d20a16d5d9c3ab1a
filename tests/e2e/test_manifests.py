"""The API server takes what kube-config makes, and finds no field that it does not know."""

import pytest
import yaml

from tests.e2e.kubectl import build
from tests.processes import ROOT

OVERLAYS = sorted(path.parent for path in (ROOT / "kube-config" / "overlays").glob("*/kustomization.yaml"))


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_server_side_dry_run(overlay, stage, kubectl):
    # In the namespace of the tests, since a dry run makes none; without what only EKS knows.
    objects = [
        each
        for each in yaml.safe_load_all(build(overlay))
        if each["kind"] != "Namespace" and not each["apiVersion"].startswith("eks.amazonaws.com/")
    ]
    for each in objects:
        if "namespace" in each["metadata"]:
            each["metadata"]["namespace"] = kubectl.namespace
    assert objects
    kubectl(
        "apply",
        "--dry-run=server",
        "--validate=strict",
        "--server-side",
        "--force-conflicts",
        "--filename=-",
        given=yaml.safe_dump_all(objects),
    )
