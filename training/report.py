"""One HTML page of text, tables and figures; each figure also lies beside it as a PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure

from brain_tumor.atomic import atomic_file
from brain_tumor.contract import RESEARCH_NOTICE
from brain_tumor.metadata import PHANTOM

_DPI = 110
_PHANTOM_NOTICE = "The images are a synthetic phantom, not scans of people; no figure here says anything about those."
# Okabe and Ito's colours (https://jfly.uni-koeln.de/color/), which colour-blind readers tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
_PAGE = Environment(loader=PackageLoader("training"), autoescape=True, trim_blocks=True, lstrip_blocks=True)


class Report:
    """Collects what a page shows, in order, and writes it as ``report.html``.

    Args:
        folder: where the page and its figures go; made if need be.
        data: the data set's name; a phantom's page says that it shows one.
    """

    def __init__(self, title: str, folder: Path, data: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._title = title
        self._data = data
        self._parts: list[dict[str, Any]] = []

    def heading(self, text: str) -> None:
        """A new section."""
        self._parts.append({"kind": "heading", "text": text})

    def text(self, text: str) -> None:
        """A paragraph."""
        self._parts.append({"kind": "text", "text": text})

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> None:
        """A table whose numbers were rounded by the caller; the first column names the rows."""
        cells = [[str(cell) for cell in row] for row in rows]
        self._parts.append({"kind": "table", "head": head, "rows": cells, "text": caption})

    def figure(self, figure: Figure, name: str, caption: str) -> None:
        """Save a figure as ``NAME.png`` and show it; the caption says what to see in it."""
        figure.savefig(self.folder / f"{name}.png", dpi=_DPI, metadata={"Software": None})
        self._parts.append({"kind": "figure", "file": f"{name}.png", "text": caption})

    def links(self, targets: Mapping[str, str]) -> None:
        """A list of links, by what they say; paths from the page's folder."""
        self._parts.append({"kind": "links", "targets": targets})

    def write(self) -> Path:
        """Write the page; returns its path."""
        notices = [RESEARCH_NOTICE, _PHANTOM_NOTICE] if self._data == PHANTOM else [RESEARCH_NOTICE]
        page = _PAGE.get_template("report.html").render(
            title=self._title, data=self._data, notices=notices, parts=self._parts
        )
        path = self.folder / "report.html"
        with atomic_file(path) as scratch:
            scratch.write_text(page + "\n", encoding="utf-8")
        return path


def new_figure(width: float = 7, height: float = 4) -> Figure:
    """An empty figure, inches wide and high; without pyplot, so that nothing is kept after it."""
    return Figure(figsize=(width, height), layout="constrained")


def share(figure: float, digits: int = 1) -> str:
    """0.5 as "50.0 %"."""
    return f"{100 * figure:.{digits}f} %"


def share_with_interval(figure: float, interval: Sequence[float]) -> str:
    """0.5 and (0.4, 0.6) as "50.0 % (40.0 % to 60.0 %)"."""
    low, high = interval
    return f"{share(figure)} ({share(low)} to {share(high)})"
