"""What becomes of the stored values, against pydicom's own functions."""

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian

from brain_tumor.image import UnusableImage, Window, read_image
from tests.brain_tumor import samples
from tests.brain_tumor.dicom_files import HEIGHT, RAMP, WIDTH, encode, scan


def grey(data_set: Dataset) -> np.ndarray:
    image = read_image(encode(data_set), keep_grey=True).image
    assert image.mode == "L"
    return np.asarray(image).astype(int)


def windowed(values: np.ndarray) -> np.ndarray:
    return samples.windowed(values)[..., 0]


def expected(data_set: Dataset) -> np.ndarray:
    """pydicom's values, whose range is that of the stored ones, in 0..255."""
    values = apply_voi_lut(apply_modality_lut(data_set.pixel_array, data_set), data_set)
    low, high = windowed_range(data_set)
    return np.clip((values - low) / (high - low) * 255, 0, 255)


def windowed_range(data_set: Dataset) -> tuple[float, float]:
    """The numbers between which pydicom's window lies: those that the stored bits can have, after rescale."""
    bits, signed = data_set.BitsStored, data_set.PixelRepresentation
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    slope, intercept = data_set.get("RescaleSlope", 1), data_set.get("RescaleIntercept", 0)
    return low * slope + intercept, high * slope + intercept


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("signed", [False, True])
def test_a_window(function, signed):
    values = (RAMP.astype(np.int16) - 2000) if signed else RAMP
    data_set = scan(
        values, WindowCenter=["700", "1"], WindowWidth=["1500", "1"], RescaleSlope="0.5", RescaleIntercept="-10"
    )
    if function:
        data_set.VOILUTFunction = function
    assert np.abs(grey(data_set) - expected(data_set)).max() <= 0.51
    used = read_image(encode(data_set)).facts.dicom.window
    assert used == Window("file", 700.0, 1500.0, function or "LINEAR")


def test_the_narrowest_window():
    result = grey(scan(WindowCenter="1000", WindowWidth="1"))
    assert (result == np.where(RAMP > 999, 255, 0)).all()


@pytest.mark.parametrize(("center", "width"), [("1", "0"), ("1", "-5"), ("", ""), ("1", ""), ("", "1"), ("1e999", "1")])
def test_a_window_that_means_nothing_is_that_of_the_image(center, width):
    data_set = scan()
    data_set.add_new("WindowCenter", "LO", center)  # what pydicom would not write as a number
    data_set.add_new("WindowWidth", "LO", width)
    assert np.abs(grey(data_set) - windowed(RAMP)).max() <= 1
    assert read_image(encode(data_set)).facts.dicom.window.source == "percentiles"


def test_without_a_window_the_percentiles_after_rescale_are_told():
    used = read_image(encode(scan(RescaleSlope="2", RescaleIntercept="7"))).facts.dicom.window
    low, high = (2 * np.percentile(RAMP, share, method="nearest") + 7 for share in (0.5, 99.5))
    assert used == Window("percentiles", (low + high) / 2, high - low, "LINEAR_EXACT")


def test_a_negative_slope_turns_grey_round():
    assert np.abs(grey(scan(RescaleSlope="-1", RescaleIntercept="0")) - (255 - windowed(RAMP))).max() <= 1


def table(entries: np.ndarray, first: int, bits: int) -> Sequence:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries.tolist())
    item.ModalityLUTType = "US"
    return Sequence([item])


@pytest.mark.parametrize("implicit", [False, True])
def test_a_modality_lut_and_a_voi_lut(implicit):
    modality = (np.arange(3000) ** 2 // 3000).astype(np.uint16)
    voi = np.linspace(0, 4095, 2000).astype(np.uint16)[::-1]
    data_set = scan(ModalityLUTSequence=table(modality, 500, 16), VOILUTSequence=table(voi, 300, 12))
    data_set.WindowCenter, data_set.WindowWidth = "1", "1"  # the table counts first
    if implicit:
        data_set.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    result = grey(data_set)
    values = apply_voi_lut(apply_modality_lut(data_set.pixel_array, data_set), data_set)
    assert np.abs(result - values / 4095 * 255).max() <= 0.51
    assert read_image(encode(data_set)).facts.dicom.window == Window("lut", None, None, None)


def test_a_voi_lut_that_begins_below_zero():
    values = RAMP.astype(np.int16) - 2000
    data_set = scan(values, VOILUTSequence=table(np.linspace(0, 255, 4000).astype(np.uint16), -2000, 8))
    assert np.abs(grey(data_set) - (values + 2000) / 4000 * 255).max() <= 1


def test_monochrome1_is_inverted():
    usual, inverted = scan(WindowCenter="2000", WindowWidth="3000"), scan(WindowCenter="2000", WindowWidth="3000")
    inverted.PhotometricInterpretation = "MONOCHROME1"
    assert np.abs(grey(usual) + grey(inverted) - 255).max() <= 1


@pytest.mark.parametrize("colours", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("value", "limit"), [(40_000, None), (40_000, 65_535), (65_535, 40_000)])
def test_padding_is_black_and_outside_of_the_percentiles(colours, value, limit):
    values = RAMP.copy()
    values[:8] = 40_000
    data_set = scan(values, PhotometricInterpretation=colours)
    data_set.add_new("PixelPaddingValue", "US", value)
    if limit is not None:
        data_set.add_new("PixelPaddingRangeLimit", "US", limit)
    result = grey(data_set)
    assert result[:8].max() == 0
    inside = windowed(RAMP[8:])
    assert np.abs(result[8:] - (255 - inside if colours == "MONOCHROME1" else inside)).max() <= 1


@pytest.mark.parametrize("implicit", [False, True])
def test_padding_below_zero(implicit):
    values = RAMP.astype(np.int16)
    values[:8] = -2000
    data_set = scan(values)
    data_set.add_new("PixelPaddingValue", "SS", -2000)
    if implicit:
        data_set.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    result = grey(data_set)
    assert np.abs(result[8:] - windowed(RAMP[8:])).max() <= 1


def test_nothing_but_padding_cannot_be_used():
    data_set = scan(np.full_like(RAMP, 7))
    data_set.add_new("PixelPaddingValue", "US", 7)
    with pytest.raises(UnusableImage):
        read_image(encode(data_set))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floats(kind):
    values = RAMP.astype(kind) / 1e6
    values[0, 0], values[0, 1] = np.nan, np.inf
    result = grey(scan(values))
    assert result[0, :2].max() == 0
    assert np.abs(result[1:] - windowed(RAMP)[1:]).max() <= 2


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int16, np.uint32, np.int32])
def test_whole_numbers_of_any_size(kind):
    values = (RAMP.astype(int) // 32 - (64 if np.dtype(kind).kind == "i" else 0)).astype(kind)
    assert np.abs(grey(scan(values)) - windowed(RAMP // 32)).max() <= 1


def test_unused_upper_bits_are_left_out():
    data_set = scan(RAMP | 0xF000, BitsStored=12, HighBit=11)
    assert np.abs(grey(data_set) - windowed(RAMP)).max() <= 1


def palette(bits: int) -> dict[str, object]:
    red, green, blue = ((np.arange(256) * factor % 256 * (257 if bits == 16 else 1)) for factor in (1, 3, 7))
    kind = np.uint16 if bits == 16 else np.uint8
    elements: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, values in (("Red", red), ("Green", green), ("Blue", blue)):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        elements[f"{name}PaletteColorLookupTableData"] = values.astype(kind).tobytes()
    return elements


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette(bits):
    values = (np.arange(WIDTH * HEIGHT) % 256).reshape(HEIGHT, WIDTH).astype(np.uint8)
    decoded = read_image(encode(scan(values, **palette(bits))))
    pixels = np.asarray(decoded.image)
    assert (pixels == np.stack([values.astype(int) * factor % 256 for factor in (1, 3, 7)], axis=-1)).all()
    assert decoded.facts.dicom.window is None


@pytest.mark.parametrize("planar", [0, 1])
def test_colour(planar):
    values = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    data_set = scan(values, PlanarConfiguration=planar)
    if planar:
        data_set.PixelData = values.transpose(2, 0, 1).tobytes()
    decoded = read_image(encode(data_set))
    assert (np.asarray(decoded.image) == values).all()
    assert decoded.facts.dicom.window is None


def test_colour_of_more_than_8_bits_has_one_window():
    values = np.stack([RAMP, RAMP // 2, RAMP // 4], axis=-1)
    assert np.abs(np.asarray(read_image(encode(scan(values))).image).astype(int) - samples.windowed(values)).max() <= 1
