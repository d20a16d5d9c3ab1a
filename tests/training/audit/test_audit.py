"""The audit of a phantom with planted copies: what it finds, what it misses, and its report."""

import json
import re
import shutil
from itertools import combinations
from pathlib import Path

import pytest
from PIL import Image

from tests.training.audit.planted import CHANGES, plant
from tests.training.scans import manifest, phantom
from training.audit.__main__ import main
from training.audit.audit import AUDIT, audit
from training.audit.clusters import clusters, groups_of
from training.audit.copies import find_copies
from training.audit.fingerprints import fingerprints
from training.data.data_set import DataSet, find
from training.data.groups import GROUPS_FILE, Groups, load
from training.data.split import hold_out

COPIES = 10  # of each kind


class Audited:
    """A phantom with copies, audited."""

    def __init__(self, folder: Path) -> None:
        phantom(folder / "data", training=120, testing=24, size=192, workers=2)
        shutil.rmtree(folder / "data" / "Masks")
        self.patients = {entry["file"]: entry["patient"] for entry in manifest(folder / "data")}
        self.planted = plant(folder / "data", COPIES)
        self.originals = {copy: original for pairs in self.planted.values() for original, copy in pairs}
        self.data = find(folder / "data")
        self.out = folder / "audit"
        self.groups = audit(self.data, self.out)
        self.document = json.loads((self.out / AUDIT).read_text())

    def patient(self, file: str) -> int:
        return self.patients[self.originals.get(file, file)]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    return Audited(tmp_path_factory.mktemp("audit"))


def test_planted_copies_are_found_and_nothing_else(audited: Audited, capsys: pytest.CaptureFixture[str]) -> None:
    copies = audited.groups.copies
    found = {
        kind: sum(copies[original] == copies[copy] for original, copy in audited.planted[kind]) for kind in CHANGES
    }
    true = {frozenset(pair) for pairs in audited.planted.values() for pair in pairs}
    pairs = {frozenset(pair) for cluster in clusters(audited.groups) for pair in combinations(cluster, 2)}
    # A patient's two slices are neighbours; if the audit takes them for copies, that counts neither way.
    wrong = [pair for pair in pairs if len({audited.patient(file) for file in pair}) == 2]
    precision = len(pairs & true) / (len(pairs & true) + len(wrong))
    recall = len(pairs & true) / len(true)
    with capsys.disabled():
        print(f"\n{len(true)} copies planted: precision {precision:.4f}, recall {recall:.4f}")
        print("found of", COPIES, "each:", ", ".join(f"{kind} {count}" for kind, count in found.items()))
    assert precision >= 0.98
    assert recall >= 0.95
    assert min(found.values()) >= 0.75 * COPIES


def test_each_copy_has_its_kind(audited: Audited) -> None:
    kinds = {frozenset((copy["first"], copy["second"])): copy["kind"] for copy in audited.document["copies"]}
    assert all(kinds[frozenset(pair)] == "same pixels" for pair in audited.planted["same pixels"])
    assert all(kinds[frozenset(pair)] == "near" for pair in audited.planted["recompressed"])


def test_a_copy_in_another_class_is_a_contradiction(audited: Audited) -> None:
    wrong = [
        pair
        for pairs in audited.planted.values()
        for pair in pairs
        if Path(pair[0]).parent.name != Path(pair[1]).parent.name
        and audited.groups.copies[pair[0]] == audited.groups.copies[pair[1]]
    ]
    assert wrong
    for pair in wrong:
        assert any({*pair} <= {*cluster} for cluster in audited.document["contradictory"]), pair
    assert len(audited.document["contradictory"]) == len(wrong)


def test_what_testing_shares_with_training_is_counted(audited: Audited) -> None:
    trained = {audited.groups.copies[file] for file in audited.data.training}
    seen = sum(audited.groups.copies[file] in trained for file in audited.data.testing)
    assert seen > COPIES
    assert sum(counts["seen"] for counts in audited.document["Testing"].values()) == seen
    assert sum(counts["images"] for counts in audited.document["Testing"].values()) == len(audited.data.testing)


def test_the_groups_it_writes_are_those_that_splits_keep(audited: Audited) -> None:
    groups = load(audited.out / GROUPS_FILE, audited.data)
    assert groups == Groups(audited.groups.groups, audited.groups.copies, audited=True)
    fitted, held = hold_out(audited.data, groups, 0.15, 0)
    for cluster in clusters(groups):
        assert len({file in held for file in cluster if file in fitted or file in held}) <= 1


def test_the_report_shows_copies_and_contradictions(audited: Audited) -> None:
    page = (audited.out / "report.html").read_text()
    images = len(audited.data.training) + len(audited.data.testing)
    assert f"{audited.document['superfluous']:,} of {images:,} images are copies of other images" in page
    for file in ("near-copies.png", "contradictory.png"):
        assert file in page
        with Image.open(audited.out / file) as image:
            assert image.width > 300


def test_a_patients_images_are_one_group_but_no_copies(phantom_data: DataSet) -> None:
    files = [*phantom_data.training, *phantom_data.testing]
    copies = find_copies(fingerprints(phantom_data.folder, files))
    groups = groups_of(phantom_data, files, [(copy.first, copy.second) for copy in copies])
    for file, other in combinations(phantom_data.training, 2):
        same = phantom_data.patients[file] == phantom_data.patients[other]
        assert (groups.groups[file] == groups.groups[other]) == same
    assert len(set(groups.copies.values())) > len(set(groups.groups.values()))


def test_the_command_says_what_it_found(audited: Audited, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """On some of the images of two classes, and one copy of each of these classes in Training.

    The manifest alone says which image is in Training.
    """
    caplog.set_level("INFO")
    folder = tmp_path / "data"
    for file in (*audited.data.training, *audited.data.testing):
        target = folder / Path(file).parent.name / Path(file).name
        if Path(file).stem[:4] in ("Tr-g", "Tr-n", "Te-g", "Te-n") and int(file[-8:-4]) < 6:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(audited.data.folder / file, target)
    for name in ("glioma", "notumor"):
        shutil.copy(min((folder / name).glob("Te-*")), folder / name / "again.jpg")
    images = [
        {"file": str(path.relative_to(folder)), "split": "Testing" if path.name.startswith("Te-") else "Training"}
        for path in folder.glob("*/*")
    ]
    (folder / "manifest.json").write_text(json.dumps({"data": "some", "images": images}))
    assert main([str(folder), str(tmp_path / "out")]) == 0
    output = caplog.text
    assert "2 of 12 test images have a copy in Training" in output
    assert "0 clusters have labels that contradict each other" in output
    assert "by border: " in output
    pairs = json.loads((tmp_path / "out" / AUDIT).read_text())["across_splits"]
    assert pairs == 2
    table = (tmp_path / "out" / "report.md").read_text()
    assert re.search(r"\| same file \| 0 \| 0 \| 2 \|", table), table
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {AUDIT, GROUPS_FILE, "report.html", "report.md"}


def test_an_unreadable_image_is_named_and_nothing_is_written(
    phantom_data: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(phantom_data.folder, tmp_path / "data"))
    (folder / phantom_data.training[3]).write_bytes(b"\xff\xd8\xff broken")
    with pytest.raises(SystemExit) as stopped:
        main([str(folder), str(tmp_path / "out")])
    assert stopped.value.code == 1
    assert Path(phantom_data.training[3]).name in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())
