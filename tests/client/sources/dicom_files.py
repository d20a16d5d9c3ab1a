"""DICOM files for tests, with a patient whose name must appear nowhere."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

PATIENT = "Mustermensch^Test"
MR = "1.2.840.10008.5.1.4.1.1.4"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def write_dicom(
    path: Path,
    series: str,
    position: tuple[float, ...] | None = None,
    orientation: tuple[float, ...] | None = AXIAL,
    number: int | None = None,
    frames: int | None = None,
) -> Path:
    """Write an MR image of 16 x 16 pixels; its bytes differ from those of others, by its instance UID."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = MR
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.Modality = "MR"
    data.PatientName = PATIENT
    data.SeriesInstanceUID = series
    if position:
        data.ImagePositionPatient = list(position)
    if orientation:
        data.ImageOrientationPatient = list(orientation)
    if number is not None:
        data.InstanceNumber = number
    if frames is not None:
        data.NumberOfFrames = frames
    data.Rows = data.Columns = 16
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit = 15
    data.PixelRepresentation = 0
    data.PixelData = np.arange(256 * (frames or 1), dtype="<u2").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path
