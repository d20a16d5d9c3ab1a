"""What a person does on the page, and sees there."""

import csv
import io
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.brain_tumor import images

GOOD = {"name": "glioma.png", "mimeType": "image/png", "buffer": images.GLIOMA}
OTHER = {"name": "meningioma.png", "mimeType": "image/png", "buffer": images.MENINGIOMA}
BROKEN = {"name": "broken.dcm", "mimeType": "application/octet-stream", "buffer": b"\x00\x01\x02 no image" * 9}


def many(count: int) -> list[dict[str, object]]:
    return [{**GOOD, "name": f"slice-{number}.png"} for number in range(1, count + 1)]


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
