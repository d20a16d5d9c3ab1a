"""What is wrong with a data set: images that it holds twice, labels that contradict, shortcuts to the class.

What it finds decides how the images are split, and which test images are honest ones.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from training.atomic import write_json
from training.audit import page
from training.audit.alignment import COPIED, agreement
from training.audit.candidates import candidates
from training.audit.clusters import NEAR, SAME_FILE, SAME_PIXELS, across, class_of, clusters, contradictory, groups_of
from training.audit.fingerprints import Fingerprint, fingerprints
from training.audit.shortcuts import shortcuts
from training.data import TESTING, TRAINING, DataSet
from training.data.groups import GROUPS_FILE, Groups
from training.explore.measure import measure

log = logging.getLogger(__name__)

AUDIT = "audit.json"


@dataclass(frozen=True)
class Copy:
    """Two images, as places in the list of files, that show the same; agreement is 1 where pixels are equal."""

    first: int
    second: int
    kind: str
    agreement: float


def audit(data: DataSet, out: Path) -> Groups:
    """Look for copies and shortcuts; writes ``groups.json``, ``report.html`` and, last, ``audit.json`` into ``out``.

    Raises:
        DataError: an image cannot be read.
    """
    started = time.monotonic()
    files = [*data.training, *data.testing]
    copies = find_copies(fingerprints(data.folder, files))
    groups = groups_of(data, files, [(copy.first, copy.second) for copy in copies])
    log.info("%d pairs of copies; what gives the classes away ...", len(copies))
    images = measure(replace(data, testing=())).images
    found = {
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
    groups.save(out / GROUPS_FILE, found["fingerprint"])
    found["seconds"] = round(time.monotonic() - started)
    page.write(data, found, out)
    write_json(out / AUDIT, found)
    return groups


def find_copies(images: Sequence[Fingerprint]) -> list[Copy]:
    """Pairs of images that show the same; of many equal ones, each with the first alone."""
    equal = [
        *_equal([image.file_hash for image in images], SAME_FILE),
        *_equal([image.pixel_hash for image in images], SAME_PIXELS),
    ]
    known = {copy.second: copy for copy in reversed(equal)}  # a same file is no more than that
    distinct = np.array([place for place in range(len(images)) if place not in known])
    left = [images[place] for place in distinct]
    pairs = candidates(
        np.stack([each.queries.hashes for each in left]), np.stack([each.references.hashes for each in left])
    )
    firsts = np.stack([each.queries.places for each in left])[pairs.first, pairs.query]
    seconds = np.stack([each.references.places for each in left])[pairs.second, pairs.reference]
    agreed = agreement(pairs, np.stack([each.thumbnail for each in left]), firsts @ np.linalg.inv(seconds))
    places = np.sort(distinct[np.stack([pairs.first, pairs.second], axis=1)], axis=1).tolist()
    near = [
        Copy(first, second, NEAR, round(value, 4))
        for (first, second), value in zip(places, agreed.tolist(), strict=True)
        if value >= COPIED
    ]
    return sorted([*known.values(), *near], key=lambda copy: (copy.first, copy.second))


def _equal(hashes: Sequence[str], kind: str) -> Iterator[Copy]:
    firsts: dict[str, int] = {}
    for place, each in enumerate(hashes):
        if firsts.setdefault(each, place) != place:
            yield Copy(firsts[each], place, kind, 1.0)


def _counts(data: DataSet, groups: Groups) -> dict[str, Any]:
    """The clusters, those whose labels contradict, and how much of each class of Testing was seen in Training."""
    found = clusters(groups)
    trained = {groups.copies[file] for file in data.training}
    tested = Counter(class_of(file) for file in data.testing)
    seen = Counter(class_of(file) for file in data.testing if groups.copies[file] in trained)
    return {
        "clusters": found,
        "across_splits": sum(across(each) for each in found),
        "contradictory": [each for each in found if contradictory(each)],
        "superfluous": sum(len(each) - 1 for each in found),
        TESTING: {name: {"images": tested[name], "seen": seen[name]} for name in data.class_names},
    }
