"""A report as HTML and as Markdown: both show every part, and no text becomes markup."""

from pathlib import Path

import pytest

from brain_tumor.atomic import atomic_file
from training.markdown import plain
from training.report import Report, new_figure


def test_a_page_shows_its_parts_in_order_and_keeps_its_figures_beside_it(tmp_path: Path) -> None:
    report = Report("Title", tmp_path / "new" / "folder", "phantom")
    report.heading("First")
    report.text("a paragraph with <b>")
    report.table(["class", "images"], [["glioma", 3]], "how many")
    figure = new_figure()
    figure.subplots().plot([1, 2])
    report.figure(figure, "line", "a line")
    path = report.write()
    page = path.read_text()
    positions = [page.index(text) for text in ("First", "a paragraph with &lt;b&gt;", "glioma", 'src="line.png"')]
    assert positions == sorted(positions)
    assert "phantom" in page
    assert "research" in page.lower()
    assert (path.parent / "line.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(file.name for file in path.parent.iterdir()) == ["line.png", "report.html", "report.md"]


def test_the_markdown_twin_shows_the_same_parts_and_links_to_markdown(tmp_path: Path) -> None:
    report = Report("Title", tmp_path, "mine")
    report.heading("First")
    report.text("a paragraph with <b> and a_b *")
    report.table(["class", "images"], [["a|b", 3]], "how many")
    figure = new_figure()
    figure.subplots().plot([1, 2])
    report.figure(figure, "line", "a line")
    report.links({"the audit": "audit/report.html", "the card": "card.md"})
    report.write()
    assert (tmp_path / "report.md").read_text().split("For research only")[1].splitlines()[2:] == [
        "## First",
        "",
        r"a paragraph with \<b> and a_b \*",
        "",
        "| class | images |",
        "| --- | ---: |",
        r"| a\|b | 3 |",
        "",
        "*how many*",
        "",
        "![line](<line.png>)",
        "",
        "*a line*",
        "",
        "- [the audit](<audit/report.md>)",
        "- [the card](<card.md>)",
    ]


def test_a_blank_caption_is_left_out(tmp_path: Path) -> None:
    report = Report("Title", tmp_path, "mine")
    report.table(["class"], [["glioma"]], " ")
    report.figure(new_figure(), "line", "\n")
    report.write()
    assert (tmp_path / "report.md").read_text().endswith("| class |\n| --- |\n| glioma |\n\n![line](<line.png>)\n")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("about ~5 of ~~6~~, $x$", r"about \~5 of \~\~6\~\~, \$x\$"),
        ("# one", r"\# one"),
        ("\n> one", r"\> one"),
        ("+ one", r"\+ one"),
        ("- one", r"\- one"),
        ("---", r"\---"),
        ("1. one", r"1\. one"),
        ("12) one", r"12\) one"),
        ("1.", r"1\."),
        ("1.5 (1 of 2) - # > +", "1.5 (1 of 2) - # > +"),
    ],
)
def test_no_text_becomes_markup(text: str, escaped: str) -> None:
    assert plain(text) == escaped


def test_a_file_that_failed_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    try:
        with atomic_file(path) as scratch:
            scratch.write_text("half")
            raise OSError
    except OSError:
        pass
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
