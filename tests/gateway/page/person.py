"""What a person does on the page, and sees there."""

import csv
import io
from pathlib import Path

import numpy as np
from playwright.sync_api import Locator, Page, expect
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from tests.brain_tumor import images

GOOD = {"name": "glioma.png", "mimeType": "image/png", "buffer": images.GLIOMA}
OTHER = {"name": "meningioma.png", "mimeType": "image/png", "buffer": images.MENINGIOMA}
BROKEN = {"name": "broken.dcm", "mimeType": "application/octet-stream", "buffer": b"\x00\x01\x02 no image" * 9}


def many(count: int) -> list[dict[str, object]]:
    return [{**GOOD, "name": f"slice-{number}.png"} for number in range(1, count + 1)]


def dicom_file(frames: int) -> bytes:
    """A DICOM file of computed tomography, with one number of pixels in each frame: a hundred times the frame's."""
    file = Dataset()
    file.SOPClassUID, file.SOPInstanceUID, file.Modality = CTImageStorage, generate_uid(), "CT"
    file.Rows, file.Columns, file.NumberOfFrames = 32, 40, frames
    file.SamplesPerPixel, file.PhotometricInterpretation, file.PixelRepresentation = 1, "MONOCHROME2", 0
    file.BitsAllocated, file.BitsStored, file.HighBit = 16, 12, 11
    file.WindowCenter, file.WindowWidth = 600, 1200
    pixels = np.ones((frames, 32, 40), "<u2") * (100 * np.arange(1, frames + 1, dtype="<u2")[:, None, None])
    file.PixelData = pixels.tobytes()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    file.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def choose(page: Page, *files: dict[str, object]) -> None:
    page.get_by_label("Choose files").set_input_files(list(files))


def expect_progress(page: Page, text: str) -> None:
    expect(page.locator("#progress-text")).to_contain_text(text, timeout=20_000)


def details(page: Page) -> Locator:
    return page.locator("#details")


def column(page: Page, number: int) -> list[str]:
    """The texts of a column of the table of results."""
    return [row.split("\t")[0] for row in page.locator(f"#table tbody td:nth-child({number})").all_inner_texts()]


def names(page: Page) -> list[str]:
    return page.locator("#table .file-name").all_inner_texts()


def download(page: Page) -> list[dict[str, str]]:
    """The lines of the CSV file that the page gives."""
    with page.expect_download() as started:
        page.get_by_role("button", name="Download CSV").click()
    text = Path(started.value.path()).read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def drop(page: Page, *files: dict[str, object]) -> None:
    """Drop files on the page, as the browser tells it."""
    page.evaluate(
        """(files) => {
            const transfer = new DataTransfer();
            for (const { name, mimeType, bytes } of files) {
                transfer.items.add(new File([Uint8Array.from(bytes)], name, { type: mimeType }));
            }
            const place = document.querySelector("#drop-zone");
            for (const type of ["dragenter", "dragover", "drop"]) {
                place.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: transfer }));
            }
        }""",
        [{**file, "buffer": None, "bytes": list(file["buffer"])} for file in files],
    )
