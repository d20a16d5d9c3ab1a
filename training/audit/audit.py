"""Audits a data set: finds its copies and shortcuts, and writes the report.

The result decides how the images are split, and which test images are new to a trained network.
"""

import logging
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from brain_tumor.atomic import write_json
from training.audit import page
from training.audit.clusters import clusters, groups_of
from training.audit.copies import find_copies
from training.audit.fingerprints import fingerprints
from training.audit.shortcuts import shortcuts
from training.data.data_set import DataSet
from training.data.groups import GROUPS_FILE, Groups
from training.explore.measure import measure
from training.layout import TESTING, TRAINING

log = logging.getLogger(__name__)

AUDIT = "audit.json"


def audit(data: DataSet, out: Path) -> Groups:
    """Look for copies and shortcuts.

    Args:
        data: The data set.
        out: The folder to write to: ``groups.json``, the report and, last, ``audit.json``.

    Returns:
        Which images belong together.

    Raises:
        DataError: An image cannot be read, or a class has a single group of training images.
    """
    started = time.monotonic()
    files = [*data.training, *data.testing]
    copies = find_copies(fingerprints(data.folder, files))
    groups = groups_of(data, files, [(copy.first, copy.second) for copy in copies])
    log.info("%d pairs of copies; now looking for shortcuts to the class ...", len(copies))
    images = measure(replace(data, testing=())).images
    result = {
        "data": data.name,
        "fingerprint": data.fingerprint(),
        "images": {TRAINING: len(data.training), TESTING: len(data.testing)},
        "copies": [
            {"first": files[copy.first], "second": files[copy.second], "kind": copy.kind, "agreement": copy.agreement}
            for copy in copies
        ],
        **_counts(data, groups),
        "shortcuts": shortcuts(images, data.labels(data.training), groups.of(data.training)),
        "seconds": 0,
    }
    out.mkdir(parents=True, exist_ok=True)
    groups.save(out / GROUPS_FILE, result["fingerprint"])
    result["seconds"] = round(time.monotonic() - started)
    page.write(data, result, out)
    write_json(out / AUDIT, result)
    return groups


def _counts(data: DataSet, groups: Groups) -> dict[str, Any]:
    """The clusters of copies, those with several classes, and how many test images of each class Training holds."""
    all_clusters = clusters(groups)
    training_copies = {groups.copies[file] for file in data.training}
    images = Counter(data.classes[file] for file in data.testing)
    seen = Counter(data.classes[file] for file in data.testing if groups.copies[file] in training_copies)
    return {
        "clusters": all_clusters,
        "across_splits": sum(data.is_across_splits(cluster) for cluster in all_clusters),
        "contradictory": [cluster for cluster in all_clusters if data.is_across_classes(cluster)],
        "superfluous": sum(len(cluster) - 1 for cluster in all_clusters),
        TESTING: {name: {"images": images[name], "seen": seen[name]} for name in data.class_names},
    }
