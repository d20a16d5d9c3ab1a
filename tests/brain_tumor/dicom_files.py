"""DICOM files for tests: made here, element by element, of synthetic values."""

import io
import struct

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

WIDTH, HEIGHT = 40, 32
RAMP = (np.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH) * 3 + 100).astype(np.uint16)  # 100..3937
SECRET = "SECRET"  # in every element that could name someone


def scan(values: np.ndarray = RAMP, **elements: object) -> Dataset:
    """An MR image of these values: (height, width), (frame, height, width), or either with three channels behind."""
    data_set = Dataset()
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID = MRImageStorage
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID = "2.25.1"
    data_set.Modality = "MR"
    for name in ("PatientName", "PatientID", "InstitutionName", "StudyDescription", "ImageComments"):
        setattr(data_set, name, SECRET)
    colour = values.ndim > 2 and values.shape[-1] == 3
    shape = values.shape[:-1] if colour else values.shape
    data_set.SamplesPerPixel = 3 if colour else 1
    data_set.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        data_set.PlanarConfiguration = 0
    if len(shape) == 3:
        data_set.NumberOfFrames = shape[0]
    data_set.Rows, data_set.Columns = shape[-2:]
    data_set.BitsAllocated = data_set.BitsStored = 8 * values.dtype.itemsize
    data_set.HighBit = data_set.BitsStored - 1
    data_set.PixelRepresentation = int(values.dtype.kind == "i")
    name = {"f4": "FloatPixelData", "f8": "DoubleFloatPixelData"}.get(values.dtype.str[1:], "PixelData")
    if name == "PixelData":
        data_set.add_new("PixelData", "OB" if values.dtype.itemsize == 1 else "OW", values.tobytes())
    else:
        setattr(data_set, name, values.tobytes())
    for name, value in elements.items():
        setattr(data_set, name, value)
    return data_set


def encode(data_set: Dataset) -> bytes:
    buffer = io.BytesIO()
    data_set.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def element(tag: int, kind: bytes, value: bytes) -> bytes:
    """One element in explicit little endian, of which every part may lie."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + kind
    if kind in (b"OB", b"OW", b"SQ", b"UN"):
        return head + struct.pack("<HI", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def file_of(*elements: bytes, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """A file of these elements."""
    text = syntax.encode() + b"\0" * (len(syntax) % 2)
    return bytes(128) + b"DICM" + element(0x0002_0010, b"UI", text) + b"".join(elements)


def numbers(rows: int = HEIGHT, columns: int = WIDTH, *, bits: int = 16, frames: int = 1) -> bytes:
    """The elements that describe grey pixels."""
    parts = [
        element(0x0008_0060, b"CS", b"MR"),
        element(0x0028_0002, b"US", struct.pack("<H", 1)),
        element(0x0028_0004, b"CS", b"MONOCHROME2 "),
        element(0x0028_0008, b"IS", str(frames).encode().rjust(6)),
    ]
    for tag, value in ((0x10, rows), (0x11, columns), (0x100, bits), (0x101, bits), (0x102, bits - 1), (0x103, 0)):
        parts.append(element(0x0028_0000 | tag, b"US", struct.pack("<H", value)))
    return b"".join(parts)


def fragments(*values: bytes, table: bytes = b"", end: bool = True) -> bytes:
    """Pixel data in fragments."""
    items = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value for value in (table, *values))
    head = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    return head + items + (struct.pack("<HHI", 0xFFFE, 0xE0DD, 0) if end else b"")
