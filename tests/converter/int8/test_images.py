"""Which images calibrate and which judge."""

import json

import numpy as np
import pytest
from PIL import Image

from brain_tumor.metadata import ImageSpec, ModelMetadata
from converter.errors import ConversionError
from converter.int8.images import parted

NAMES = ("glioma", "no tumor")


def metadata(**changes):
    return ModelMetadata(NAMES, ImageSpec(16, 16), **changes)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """220 patients of each class with two images each; of each class' first image there are three copies."""
    root = tmp_path_factory.mktemp("labelled")
    random, entries = np.random.default_rng(0), []
    for name, other in (("Glioma", "glioma"), ("no_tumor", "healthy")):
        (root / "Testing" / name).mkdir(parents=True)
        for index in range(440):
            path = root / "Testing" / name / f"{index:03}.png"
            Image.fromarray(random.integers(0, 256, (16, 16), np.uint8)).save(path)
            entries.append({"file": path.relative_to(root).as_posix(), "patient": f"{other} {index // 2}"})
        first = Image.open(root / "Testing" / name / "000.png")
        for copy in range(3):
            first.save(root / "Testing" / name / f"copy{copy}.bmp")
    (root / "manifest.json").write_text(json.dumps({"data": "set", "images": entries}))
    return root


def test_no_image_patient_or_copy_is_in_both_parts(folder):
    parts = parted(folder, metadata())
    groups = [set(part.groups.tolist()) for part in (parts.calibrating, parts.judging)]
    assert not groups[0] & groups[1]
    assert len(groups[0] | groups[1]) == 440
    pixels = [{image.tobytes() for image in part.pixels} for part in (parts.calibrating, parts.judging)]
    assert not pixels[0] & pixels[1]
    counts = [np.bincount(part.labels) for part in (parts.calibrating, parts.judging)]
    assert (counts[0] + counts[1]).tolist() == [443, 443]
    assert np.abs(counts[0] - 443 / 4).max() < 5
    assert parts.healthy == 1
    for part in (parts.calibrating, parts.judging):
        assert len(set(zip(part.groups.tolist(), part.labels.tolist(), strict=True))) == len(set(part.groups.tolist()))


def test_the_same_images_are_parted_in_the_same_way(folder):
    first, second = parted(folder, metadata()), parted(folder, metadata())
    assert np.array_equal(first.judging.pixels, second.judging.pixels)


def test_the_class_without_tumour_is_the_one_that_the_description_names(folder):
    assert parted(folder, metadata(training={"healthy_class": "glioma"})).healthy == 0
    assert parted(folder, metadata(training={"healthy_class": None})).healthy is None
    with pytest.raises(ConversionError, match=r"training\.healthy_class is none of the class_names"):
        parted(folder, metadata(training={"healthy_class": "other"}))
    with pytest.raises(ConversionError, match="no, healthy may all be"):
        parted(folder_of(folder, "no", "healthy"), ModelMetadata(("no", "healthy"), ImageSpec(16, 16)))


def folder_of(folder, *names):
    """The same images in classes of other names."""
    root = folder.parent / "-".join(names)
    root.mkdir(exist_ok=True)
    for name, own in zip(names, ("Glioma", "no_tumor"), strict=True):
        if not (root / name).exists():
            (root / name).symlink_to(folder / "Testing" / own)
    return root


def test_other_classes_are_refused(folder, tmp_path):
    for root, names in ((tmp_path, NAMES), (folder, ("glioma", "meningioma"))):
        with pytest.raises(ConversionError, match=f"a folder for each of the classes {', '.join(names)}"):
            parted(root, ModelMetadata(names, ImageSpec(16, 16)))


def test_too_few_say_how_many_are_needed(tmp_path):
    """150 images with a tumour must be left to judge; the other class does not count for that."""
    random = np.random.default_rng(0)
    for name, count in (("glioma", 190), ("no tumor", 100)):
        (tmp_path / name).mkdir()
        for index in range(count):
            Image.fromarray(random.integers(0, 256, (16, 16), np.uint8)).save(tmp_path / name / f"{index}.png")
    with pytest.raises(
        ConversionError, match=r"190 patients with a tumour .* about 200 patients with a tumour"
    ) as error:
        parted(tmp_path, metadata())
    assert "150 are needed" in str(error.value)
    parted(tmp_path, metadata(training={"healthy_class": None}))


def test_a_class_of_one_patient_is_too_few(tmp_path, folder):
    """Three copies of one image are one patient."""
    (tmp_path / "no tumor").symlink_to(folder / "Testing" / "no_tumor")
    (tmp_path / "glioma").mkdir()
    for copy in range(3):
        (tmp_path / "glioma" / f"{copy}.png").symlink_to(folder / "Testing" / "Glioma" / "000.png")
    with pytest.raises(ConversionError, match="too few images"):
        parted(tmp_path, metadata(training={"healthy_class": None}))


def test_a_damaged_manifest_is_named(tmp_path, folder):
    root = folder_of(folder, "glioma", "no tumor")
    for name in ("glioma", "no tumor"):
        (tmp_path / name).symlink_to(root / name)
    (tmp_path / "manifest.json").write_text('{"images": [{"patient": 1}]}')
    with pytest.raises(ConversionError, match=r"manifest.json is not a manifest of images"):
        parted(tmp_path, metadata())
