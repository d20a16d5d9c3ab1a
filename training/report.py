"""A report of text, tables and figures: an HTML page, and the same in Markdown for a forge, which shows no HTML."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure

from brain_tumor.atomic import atomic_file
from brain_tumor.contract import RESEARCH_NOTICE
from brain_tumor.metadata import PHANTOM
from training import markdown

REPORT = "report.html"
MARKDOWN_REPORT = "report.md"
_DPI = 110
_PHANTOM_NOTICE = "The images are a synthetic phantom, not scans of people; no number here says anything about those."
# Okabe and Ito's colours (https://jfly.uni-koeln.de/color/), which colour-blind readers can distinguish.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
_HTML = Environment(loader=PackageLoader("training"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
_MARKDOWN = markdown.environment()


class Report:
    """Collects the parts of a page in order, and writes them as ``report.html`` and ``report.md``.

    Args:
        title: The page's title.
        folder: Where the page and its figures go; it is made if need be.
        data: The data set's name; the page of a phantom says that it shows one.
    """

    def __init__(self, title: str, folder: Path, data: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._title = title
        self._data = data
        self._parts: list[dict[str, Any]] = []

    def heading(self, text: str) -> None:
        """Begin a new section."""
        self._parts.append({"kind": "heading", "text": text})

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append({"kind": "text", "text": text})

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> None:
        """Add a table.

        Args:
            head: The columns' titles.
            rows: The cells, with numbers that the caller has rounded; the first cell names the row.
            caption: What the table shows.
        """
        cells = [[str(cell) for cell in row] for row in rows]
        self._parts.append({"kind": "table", "head": head, "rows": cells, "text": caption})

    def figure(self, figure: Figure, name: str, caption: str) -> None:
        """Save a figure as ``NAME.png`` and show it.

        Args:
            figure: The figure.
            name: The file's name without its suffix.
            caption: What the figure shows.
        """
        figure.savefig(self.folder / f"{name}.png", dpi=_DPI, metadata={"Software": None})
        self._parts.append({"kind": "figure", "name": name, "text": caption})

    def links(self, targets: Mapping[str, str]) -> None:
        """Add a list of links.

        Args:
            targets: Paths from the page's folder, by the links' texts. In the Markdown page, a link to another report
                goes to that report's Markdown page.
        """
        self._parts.append({"kind": "links", "targets": targets})

    def write(self) -> Path:
        """Write both pages; returns the path of the HTML page."""
        for pages, name in ((_MARKDOWN, MARKDOWN_REPORT), (_HTML, REPORT)):
            page = pages.get_template(name).render(
                title=self._title, data=self._data, notices=self._notices(), parts=self._parts
            )
            with atomic_file(self.folder / name) as scratch:
                scratch.write_text(page.rstrip("\n") + "\n", encoding="utf-8")
        return self.folder / REPORT

    def _notices(self) -> list[str]:
        return [RESEARCH_NOTICE, _PHANTOM_NOTICE] if self._data == PHANTOM else [RESEARCH_NOTICE]


def new_figure(width: float = 7, height: float = 4) -> Figure:
    """An empty figure; it is made without pyplot, which would keep it in memory.

    Args:
        width: In inches.
        height: In inches.
    """
    return Figure(figsize=(width, height), layout="constrained")


def share(value: float, digits: int = 1) -> str:
    """A share as a percentage: 0.5 as "50.0 %"."""
    return f"{100 * value:.{digits}f} %"


def share_with_interval(value: float, interval: Sequence[float]) -> str:
    """A share and its interval: 0.5 and (0.4, 0.6) as "50.0 % (40.0 % to 60.0 %)"."""
    low, high = interval
    return f"{share(value)} ({share(low)} to {share(high)})"
