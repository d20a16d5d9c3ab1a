"""The API server accepts the objects of kube-config, and knows every field."""

import pytest
import yaml

from tests.e2e.kubectl import build
from tests.processes import ROOT

OVERLAYS = sorted(path.parent for path in (ROOT / "kube-config" / "overlays").glob("*/kustomization.yaml"))


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_server_side_dry_run(overlay, stage, kubectl):
    # In the namespace of the tests, since a dry run makes none, and without the objects that only EKS knows.
    objects = [
        manifest
        for manifest in yaml.safe_load_all(build(overlay))
        if manifest["kind"] != "Namespace" and not manifest["apiVersion"].startswith("eks.amazonaws.com/")
    ]
    for manifest in objects:
        if "namespace" in manifest["metadata"]:
            manifest["metadata"]["namespace"] = kubectl.namespace
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
