"""NIfTI volumes: the way their voxels lie, their spacing, their grey levels, and what is no volume."""

import gzip
import io
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from brain_tumor_client.errors import ImageUnusable
from brain_tumor_client.sources.item import Item
from brain_tumor_client.sources.slices import Slices, chosen
from brain_tumor_client.sources.volume import read_volume, volume_items

ALL = Slices(("axial", "coronal", "sagittal"), min_head=0)
NIBABEL_DATA = Path(nibabel.__file__).parent / "tests" / "data"
TURNED = {  # world axes of the array's axes, by the affine
    "RAS": np.diag([1.0, 1, 1, 1]),
    "LPS": np.diag([-1.0, -1, 1, 1]),
    "PIR": np.array([[0, 0, 1.0, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]]),
}


def save(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine), path)
    return path


def pixels(item: Item) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(item.load())))


def items_of(path: Path, slices: Slices = ALL) -> dict[tuple[str, int], Item]:
    items = list(volume_items(path, "name.nii", slices))
    assert [item.ordinal for item in items] == list(range(len(items)))
    assert {item.count for item in items} == {len(items)}
    return {(item.plane, item.slice): item for item in items}


def marked(size: int = 20) -> np.ndarray:
    """Right, anterior, superior: bright towards the right, the front and the top."""
    right, front, top = np.meshgrid(*[np.arange(size)] * 3, indexing="ij")
    return (right + 2 * front + 4 * top).astype(np.int16)


@pytest.mark.parametrize("codes", TURNED)
def test_slices_are_upright_however_the_array_lies(tmp_path: Path, codes: str) -> None:
    canonical = nibabel.Nifti1Image(marked(), np.eye(4))
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt(codes)
    )
    turned = canonical.as_reoriented(turn)
    assert "".join(nibabel.aff2axcodes(turned.affine)) == codes
    nibabel.save(turned, tmp_path / "a.nii")
    items = items_of(tmp_path / "a.nii")
    assert len(items) == 60
    axial = pixels(items["axial", 10]).astype(int)
    assert axial[0, 0] > axial[0, -1], "the patient's right is on the left"
    assert axial[0, 0] > axial[-1, 0], "the front is above"
    coronal = pixels(items["coronal", 10]).astype(int)
    assert coronal[0, 0] > coronal[0, -1], "the patient's right is on the left"
    assert coronal[0, 0] > coronal[-1, 0], "the top is above"
    sagittal = pixels(items["sagittal", 10]).astype(int)
    assert sagittal[0, 0] > sagittal[0, -1], "the front is on the left"
    assert sagittal[0, 0] > sagittal[-1, 0], "the top is above"
    means = [pixels(items["axial", index]).mean() for index in range(20)]
    assert means == sorted(means), "slices are counted from below"


def test_pixels_are_square_where_voxels_are_not(tmp_path: Path) -> None:
    affine = np.diag([0.5, 0.5, 3.0, 1])
    items = items_of(save(tmp_path / "a.nii.gz", np.random.default_rng(1).random((40, 60, 10), np.float32), affine))
    assert pixels(items["axial", 0]).shape == (60, 40)
    assert pixels(items["coronal", 0]).shape == (60, 40)
    assert pixels(items["sagittal", 0]).shape == (60, 60)


def test_an_oblique_affine_is_turned_to_the_closest_axes(tmp_path: Path) -> None:
    angle = np.radians(20)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = (turn @ np.diag([-1.0, 1.5, 4.0]))[:, [2, 0, 1]]  # slices first
    voxels, spacing, _ = read_volume(save(tmp_path / "a.nii", np.random.default_rng(1).random((8, 20, 30)), affine))
    assert voxels.shape == (20, 30, 8)
    assert spacing == pytest.approx((1.0, 1.5, 4.0))
    assert pixels(items_of(tmp_path / "a.nii")["sagittal", 3]).shape == (round(8 * 4 / 1.5), 30)


@pytest.mark.parametrize("name", ["anatomical.nii", "functional.nii", "example4d.nii.gz", "example_nifti2.nii.gz"])
def test_volumes_of_nibabel(name: str) -> None:
    path = NIBABEL_DATA / name
    if not path.exists():
        pytest.skip("this nibabel has no test data")
    image = nibabel.as_closest_canonical(nibabel.load(path))
    voxels, spacing, warnings = read_volume(path)
    assert voxels.shape == image.shape[:3]
    assert spacing == pytest.approx(image.header.get_zooms()[:3], rel=1e-3)
    assert bool(warnings) == (image.ndim == 4 and image.shape[3] > 1)
    items = items_of(path, Slices())
    assert items
    assert all(pixels(item).dtype == np.uint8 for item in items.values())


def test_one_window_for_the_whole_volume(tmp_path: Path) -> None:
    values = np.zeros((20, 20, 10), np.float32)
    values[:, :, :5] = 1000
    values[:, :, 5:] = np.linspace(0, 500, 5)
    values[0, 0, 0] = 1e9  # of a kind that a plain maximum would follow
    values[1, 0, 0] = np.nan
    values[2, 0, 0] = -np.inf
    items = items_of(save(tmp_path / "a.nii", values))
    assert np.median(pixels(items["axial", 0])) == 255
    assert abs(int(np.median(pixels(items["axial", 9]))) - 127) <= 1
    assert pixels(items["axial", 0])[-1, -1] == 255
    assert pixels(items["axial", 0])[-1, -2] == 0


def test_values_are_rescaled_as_the_header_says(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(marked(), np.eye(4))
    image.header.set_slope_inter(-1, 200)  # inverts
    nibabel.save(image, tmp_path / "a.nii")
    voxels, _, _ = read_volume(tmp_path / "a.nii")
    stored = np.asanyarray(nibabel.load(tmp_path / "a.nii").dataobj)
    assert np.array_equal(voxels == voxels.min(), stored <= np.percentile(stored, 0.5))


def test_only_slices_with_enough_head_are_sent() -> None:
    voxels = np.zeros((32, 32, 12), np.uint8)
    voxels[:] = np.random.default_rng(1).integers(0, 12, voxels.shape)  # noise of air
    for index in range(2, 10):
        half = 2 * min(index - 1, 7)
        voxels[16 - half : 16 + half, 16 - half : 16 + half, index] = 180
    everything = chosen(voxels, Slices(min_head=0))
    assert everything == [("axial", index) for index in range(12)]
    # side 28 has an area of 784; a quarter of it is exceeded from side 16
    assert chosen(voxels, Slices()) == [("axial", index) for index in range(5, 10)]
    assert chosen(voxels, Slices(step=3)) == [("axial", index) for index in (6, 9)]


def test_planes_come_one_after_the_other(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", marked(4))
    items = items_of(path, Slices(("coronal", "sagittal"), min_head=0))
    assert list(items) == [(plane, index) for plane in ("coronal", "sagittal") for index in range(4)]
    assert len({item.key for item in items.values()}) == 8
    assert {item.volume for item in items.values()} == {"name.nii"}


def refused(path: Path) -> str:
    (item,) = volume_items(path, "name.nii", Slices())
    with pytest.raises(ImageUnusable) as raised:
        item.load()
    assert item.volume == "name.nii"
    return str(raised.value)


def test_what_is_no_volume(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    for content in (b"", b"words", gzip.compress(b"words"), gzip.compress(bytes(400))):
        path.write_bytes(content)
        assert "cannot be read" in refused(path)
    assert "cannot be read" in refused(tmp_path / "missing.nii")


def test_a_volume_that_ends_early(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz", np.random.default_rng(1).random((20, 20, 20)))
    path.write_bytes(path.read_bytes()[:-5000])
    assert "cannot be read" in refused(path)


def test_a_header_that_promises_too_much_costs_no_memory(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape((4000, 4000, 4000))
    header["magic"], header["vox_offset"] = b"n+1", 352
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + bytes(1000)))
    assert "voxels" in refused(path)


@pytest.mark.parametrize(
    ("values", "affine", "words"),
    [
        (np.zeros((5, 5, 5), np.float32), None, "same value"),
        (np.full((5, 5, 5), np.nan, np.float32), None, "same value"),
        (np.zeros((5, 5), np.float32), None, "three axes"),
        (np.zeros((5, 5, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")]), None, "colours"),
        (np.zeros((5, 5, 5), np.complex64), None, "complex"),
        (marked(5), np.diag([2000.0, 1, 1, 1]), "sizes of voxels"),
    ],
)
def test_volumes_that_cannot_be_shown(
    tmp_path: Path, values: np.ndarray, affine: np.ndarray | None, words: str
) -> None:
    assert words in refused(save(tmp_path / "a.nii", values, affine))


@pytest.mark.parametrize("row", [(0, 0, 0, 0), (np.nan, 0, 0, 0), (np.inf, 1, 1, 0), (1e-30, 0, 0, 0)])
def test_an_affine_without_sense(tmp_path: Path, row: tuple[float, ...]) -> None:
    header = nibabel.Nifti1Image(marked(5), np.eye(4)).header
    header["sform_code"], header["srow_x"], header["magic"], header["vox_offset"] = 1, row, b"n+1", 352
    (tmp_path / "a.nii").write_bytes(header.binaryblock + bytes(4) + marked(5).tobytes(order="F"))
    assert "sizes of voxels" in refused(tmp_path / "a.nii") or "cannot be read" in refused(tmp_path / "a.nii")


def test_only_the_first_of_several_volumes(tmp_path: Path) -> None:
    values = np.stack([marked(8), marked(8) * 0 + 3], axis=-1)
    voxels, _, warnings = read_volume(save(tmp_path / "a.nii", values))
    alone, _, _ = read_volume(save(tmp_path / "b.nii", marked(8)))
    assert np.array_equal(voxels, alone)
    assert "only the first" in warnings[0]
