"""The audit on a phantom with planted copies, whose truth is known: what it finds, what it misses, what it says."""

import json
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.planted import CHANGES, plant
from tests.training.scans import manifest, phantom
from training import data
from training.audit import AUDIT, audit
from training.audit.__main__ import main
from training.audit.clusters import clusters
from training.audit.shortcuts import shortcuts
from training.data.groups import GROUPS_FILE, Groups, load
from training.data.split import hold_out
from training.explore.measure import Measured

EACH = 12  # copies of each kind


class Audited:
    """A phantom with copies, audited."""

    def __init__(self, folder: Path) -> None:
        phantom(folder / "data", training=192, testing=48, size=192, workers=2)
        shutil.rmtree(folder / "data" / "Masks")
        self.patients = {each["file"]: each["patient"] for each in manifest(folder / "data")}
        self.planted = plant(folder / "data", EACH)
        self.originals = {copy: original for pairs in self.planted.values() for original, copy in pairs}
        self.data = data.find(folder / "data")
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
    found = {kind: sum(copies[one] == copies[other] for one, other in audited.planted[kind]) for kind in CHANGES}
    true = {frozenset(pair) for pairs in audited.planted.values() for pair in pairs}
    pairs = {frozenset(pair) for cluster in clusters(audited.groups) for pair in combinations(cluster, 2)}
    # A patient's two slices are neighbours; that some of them pass for copies is not counted either way.
    strangers = [pair for pair in pairs if len({audited.patient(file) for file in pair}) == 2]
    precision = len(pairs & true) / (len(pairs & true) + len(strangers))
    recall = len(pairs & true) / len(true)
    with capsys.disabled():
        print(f"\n{len(true)} copies planted: precision {precision:.4f}, recall {recall:.4f}")
        print("found of", EACH, "each:", ", ".join(f"{kind} {count}" for kind, count in found.items()))
    assert precision >= 0.98
    assert recall >= 0.95
    assert min(found.values()) >= 0.75 * EACH


def test_copies_are_told_apart_by_how_much_is_the_same(audited: Audited) -> None:
    kinds = {frozenset((each["first"], each["second"])): each["kind"] for each in audited.document["copies"]}
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
    assert seen > EACH
    assert sum(each["seen"] for each in audited.document["Testing"].values()) == seen
    assert sum(each["images"] for each in audited.document["Testing"].values()) == len(audited.data.testing)


def test_the_groups_it_writes_are_those_that_splits_keep(audited: Audited) -> None:
    groups = load(audited.out / GROUPS_FILE, audited.data)
    assert groups == Groups(audited.groups.groups, audited.groups.copies, audited=True)
    fitted, held = hold_out(audited.data, groups, 0.15, 0)
    for cluster in clusters(groups):
        assert len({file in held for file in cluster if file in fitted or file in held}) <= 1


def test_the_report_shows_copies_and_contradictions(audited: Audited) -> None:
    page = (audited.out / "report.html").read_text()
    assert f"{audited.document['superfluous']:,} are copies of others" in page
    for file in ("doubtful.png", "contradictory.png"):
        assert file in page
        with Image.open(audited.out / file) as image:
            assert image.width > 300


def test_a_patients_images_are_one_group_but_no_copies(phantom_data: data.DataSet, tmp_path: Path) -> None:
    groups = audit(phantom_data, tmp_path)
    for file, other in combinations(phantom_data.training, 2):
        same = phantom_data.patients[file] == phantom_data.patients[other]
        assert (groups.groups[file] == groups.groups[other]) == same
    assert len(set(groups.copies.values())) > len(set(groups.groups.values()))


def measured(number: int, border: float, brightness: float) -> Measured:
    file = f"Training/class/{number}.jpg"
    return Measured(
        file, "Training", "class", 200, 200, "JPEG", "L", 9000, brightness, 40.0, 0.3, border, border / 2, 0.5
    )


@pytest.mark.parametrize(("step", "found"), [(0.0, False), (30.0, True)])
def test_a_frame_of_one_class_is_a_shortcut_and_chance_is_none(step: float, found: bool) -> None:
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(4, size=400), np.arange(400) // 2
    images = [measured(i, rng.normal(20, 5) + step * (labels[i] == 2), rng.normal(60, 10)) for i in range(400)]
    told = {each["sees"]: each for each in shortcuts(images, labels, groups)}
    assert set(told) == {"border", "size and format", "brightness", "all of these"}
    assert all(each["chance"] == 0.25 for each in told.values())
    assert (told["border"]["interval"][0] > 0.35) == found
    assert (told["all of these"]["interval"][0] > 0.35) == found
    assert told["brightness"]["interval"][0] < 0.3
    assert told["size and format"]["balanced_accuracy"] < 0.3


def test_copies_do_not_help_a_shortcut() -> None:
    """Brightness names the patient, and the patient has one class: with groups parted, that would look like skill."""
    rng = np.random.default_rng(0)
    classes, levels = rng.integers(2, size=60), rng.uniform(0, 200, 60)
    groups = np.repeat(np.arange(60), 8)
    images = [measured(i, 10, levels[group] + rng.normal(0, 0.1)) for i, group in enumerate(groups)]

    def brightness(kept: np.ndarray) -> float:
        told = {each["sees"]: each for each in shortcuts(images, classes[groups], kept)}
        return told["brightness"]["balanced_accuracy"]

    assert brightness(np.arange(len(groups))) > 0.9
    assert brightness(groups) < 0.75


def test_the_command_says_what_it_found(audited: Audited, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """On some of its images: two of each class and split, and one copy of each in Training."""
    caplog.set_level("INFO")
    folder = tmp_path / "data"
    for file in (*audited.data.training, *audited.data.testing):
        target = folder / file
        if Path(file).stem[:4] in ("Tr-g", "Tr-n", "Te-g", "Te-n") and int(file[-8:-4]) < 6:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(audited.data.folder / file, target)
    for name in ("glioma", "notumor"):
        first = sorted((folder / "Testing" / name).iterdir())[0]
        shutil.copy(first, folder / "Training" / name / "again.jpg")
    assert main([str(folder), str(tmp_path / "out")]) == 0
    said = caplog.text
    assert "2 of 12 test images have a copy in Training" in said
    assert "0 clusters have labels that contradict" in said
    assert "by border: " in said
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {AUDIT, GROUPS_FILE, "report.html"}


def test_an_unreadable_image_is_named_and_nothing_is_written(
    phantom_data: data.DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(phantom_data.folder, tmp_path / "data"))
    (folder / phantom_data.training[3]).write_bytes(b"\xff\xd8\xff broken")
    with pytest.raises(SystemExit) as stopped:
        main([str(folder), str(tmp_path / "out")])
    assert stopped.value.code == 1
    assert Path(phantom_data.training[3]).name in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())
