"""DICOM files of a folder: series, their order, and frames."""

import random
import zlib
from pathlib import Path

import pytest
from pydicom.uid import generate_uid

from brain_tumor_client.errors import ImageUnusable
from brain_tumor_client.sources.find import Found, How, sources
from brain_tumor_client.sources.item import Item
from tests.client.sources.dicom_files import AXIAL, PATIENT, SAGITTAL, write_dicom

ONE, TWO = generate_uid(entropy_srcs=["1"]), generate_uid(entropy_srcs=["2"])
TILTED = (1.0, 0.0, 0.0, 0.0, 0.8, 0.6)  # its normal is (0, -0.6, 0.8)


def items_of(folder: Path, *paths: Path, **how: object) -> list[Item]:
    return [item for source in sources(paths or [folder], How(**how), Found()) for item in source.items()]


def names(items: list[Item]) -> list[str]:
    return [Path(item.path).name for item in items]


def shuffled(count: int) -> list[str]:
    """Names that say nothing about the order of their files."""
    chosen = [f"IM{number:04}" for number in range(count)]
    random.Random(3).shuffle(chosen)
    return chosen


@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, TILTED])
def test_a_series_is_sorted_by_position_along_its_normal(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    x, y, z = {AXIAL: (0, 0, 1), SAGITTAL: (-1, 0, 0), TILTED: (0, -0.6, 0.8)}[orientation]
    chosen = shuffled(12)
    for step, name in enumerate(chosen):
        distance = 3.3 * step - 20
        write_dicom(tmp_path / name, ONE, (x * distance, y * distance, z * distance), orientation, number=100 - step)
    items = items_of(tmp_path)
    assert names(items) == chosen
    assert {item.volume for item in items} == {f"{tmp_path} (series 1)"}
    assert {item.plane for item in items} == {{AXIAL: "axial", SAGITTAL: "sagittal", TILTED: "axial"}[orientation]}


def test_two_series_of_a_folder_are_kept_apart(tmp_path: Path) -> None:
    for step, name in enumerate(["c", "a", "d", "b"]):
        write_dicom(tmp_path / name, [ONE, TWO][step % 2], (0, 0, -step))
    items = items_of(tmp_path)
    assert names(items) == ["b", "a", "d", "c"]
    assert [item.volume for item in items] == [f"{tmp_path} (series {number})" for number in (1, 1, 2, 2)]


def test_files_that_are_named_one_by_one_are_a_series_too(tmp_path: Path) -> None:
    paths = [write_dicom(tmp_path / name, ONE, (0, 0, -step)) for step, name in enumerate("abc")]
    assert names(items_of(tmp_path, *paths)) == ["c", "b", "a"]


@pytest.mark.parametrize(
    "positions", [[None, None, None], [(0, 0, 5), (0, 0, 5), (0, 0, 5)], [(0, 0, 5), None, (0, 0, 1)]]
)
def test_without_positions_instance_numbers_count(tmp_path: Path, positions: list[tuple[float, ...] | None]) -> None:
    for name, position, number in zip("abc", positions, [30, 4, 12], strict=True):
        write_dicom(tmp_path / name, ONE, position, number=number)
    assert names(items_of(tmp_path)) == ["b", "c", "a"]


def test_a_localizer_has_no_order_by_position(tmp_path: Path) -> None:
    for name, orientation, number in (("a", AXIAL, 3), ("b", SAGITTAL, 1), ("c", AXIAL, 2)):
        write_dicom(tmp_path / name, ONE, (-number, -number, -number), orientation, number)
    assert names(items_of(tmp_path)) == ["b", "c", "a"]


def test_a_file_alone_is_no_series(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", ONE, (0, 0, 1))
    write_dicom(tmp_path / "b.dcm", TWO, orientation=None)
    assert [(item.volume, item.plane) for item in items_of(tmp_path)] == [(None, "axial"), (None, None)]


def test_nothing_in_an_item_identifies_anyone(tmp_path: Path) -> None:
    for name in "ab":
        write_dicom(tmp_path / name, ONE, (0, 0, 1))
    text = repr(items_of(tmp_path))
    assert PATIENT not in text
    assert ONE not in text


def test_every_frame_is_an_item_only_on_demand(tmp_path: Path) -> None:
    write_dicom(tmp_path / "many.dcm", ONE, frames=5)
    (alone,) = items_of(tmp_path)
    assert (alone.frame, alone.key) == (None, alone.path)
    items = items_of(tmp_path, every_frame=True)
    assert [item.frame for item in items] == [1, 2, 3, 4, 5]
    assert {item.volume for item in items} == {str(tmp_path / "many.dcm")}
    assert [(item.ordinal, item.count) for item in items] == [(number, 5) for number in range(5)]
    assert len({item.key for item in items}) == 5


def test_a_file_with_absurdly_many_frames_is_one_failure(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", ONE, frames=1)
    content = (tmp_path / "a.dcm").read_bytes()
    tag = b"\x28\x00\x08\x00IS\x02\x001 "
    assert tag in content
    (tmp_path / "a.dcm").write_bytes(content.replace(tag, b"\x28\x00\x08\x00IS\x06\x00600000"))
    (item,) = items_of(tmp_path, every_frame=True)
    with pytest.raises(ImageUnusable, match="600000 frames"):
        item.load()


@pytest.mark.parametrize("damage", [slice(0, 140), slice(0, 300), slice(0, 0)])
def test_a_damaged_file_is_still_sent(tmp_path: Path, damage: slice) -> None:
    path = write_dicom(tmp_path / "a.dcm", ONE, (0, 0, 1))
    path.write_bytes(path.read_bytes()[damage] or b"nothing of DICOM")
    (item,) = items_of(tmp_path)
    assert item.load() == path.read_bytes()


def test_a_deflated_header_is_not_inflated(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", ONE, (0, 0, 1))
    meta = path.read_bytes()[:400].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    path.write_bytes(meta + zlib.compress(bytes(1 << 26)))
    (item,) = items_of(tmp_path)
    assert item.volume is None
    assert "outside its series" in item.warnings[0]
