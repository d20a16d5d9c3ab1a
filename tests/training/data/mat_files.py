"""Files as MATLAB writes them with -v7.3, of scans like those of figshare's set."""

import io
from pathlib import Path

import h5py
import numpy as np

_HEADER = b"MATLAB 7.3 MAT-file, Platform: PCWIN64, Created on: Sun Feb 05 19:45:32 2017 HDF5 schema 1.00 ."


def scan(seed: int, height: int = 20, width: int = 24) -> np.ndarray:
    """int16 (height, width), as MATLAB would show it."""
    return np.random.default_rng(seed).integers(0, 3000, (height, width)).astype(np.int16)


def mat_file(image: np.ndarray, label: float = 1, patient: str = "100360", changes: dict | None = None) -> bytes:
    """The file's content.

    Args:
        image: The scan, as MATLAB would show it.
        label: The class.
        patient: The patient.
        changes: Other values of fields, as MATLAB would show them; None leaves a field out.
    """
    fields = {
        "PID": np.array([[ord(character) for character in patient]], np.uint16),  # 1 x n in MATLAB
        "image": image,
        "label": np.array([[float(label)]]),
        "tumorBorder": np.array([[1.5, 2.5]]),
        "tumorMask": np.zeros(image.shape, np.uint8),
    }
    stream = io.BytesIO()
    with h5py.File(stream, "w", userblock_size=512) as file:
        structure = file.create_group("cjdata")
        structure.attrs["MATLAB_class"] = np.bytes_("struct")
        for name, value in (fields | (changes or {})).items():
            if value is not None:
                packed = "gzip" if value.size > 100 else None
                # MATLAB stores columns first.
                structure.create_dataset(name, data=np.ascontiguousarray(value.T), compression=packed)
    content = bytearray(stream.getvalue())
    content[:128] = _HEADER.ljust(124) + b"\x00\x02IM"
    return bytes(content)


def figshare(folder: Path, patients: int = 15, scans: int = 2) -> Path:
    """A folder like the unpacked set: ``patients``, of each class as many, with ``scans`` each."""
    folder.mkdir()
    for number in range(patients * scans):
        patient = number // scans
        content = mat_file(scan(number), label=1 + patient % 3, patient=f"MR{patient:03d}")
        (folder / f"{number + 1}.mat").write_bytes(content)
    (folder / "cvind.mat").write_bytes(b"MATLAB 5.0 MAT-file, no scan")
    return folder
