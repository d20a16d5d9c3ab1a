"""The notebook runs, and is kept without outputs."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

from training.data.data_set import DataSet

NOTEBOOK = Path(__file__).parents[3] / "training" / "notebooks" / "explore.ipynb"


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    names = [cell["id"] for cell in notebook["cells"]]
    assert len(set(names)) == len(names)
    for cell in notebook["cells"]:
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", cell["id"])
        assert isinstance(cell["metadata"], dict)
        code = cell["cell_type"] == "code"
        assert cell.keys() == {"cell_type", "id", "metadata", "source"} | (
            {"outputs", "execution_count"} if code else set()
        )
        assert not code or (cell["outputs"], cell["execution_count"]) == ([], None)


def test_the_notebook_runs_from_its_first_cell_to_its_last(frames: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    shown = []
    if importlib.util.find_spec("IPython") is None:
        stand_in = ModuleType("IPython.display")
        stand_in.Image = lambda filename: Path(filename).read_bytes()
        stand_in.display = shown.append
        monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
        monkeypatch.setitem(sys.modules, "IPython.display", stand_in)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(NOTEBOOK.parent)
    monkeypatch.setenv("DATA", str(frames))
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    namespace: dict = {}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), namespace)
    assert (tmp_path / "out" / "report.html").exists()
    assert isinstance(namespace["data"], DataSet)
    assert len(namespace["rows"]) == 40
    assert not shown or all(image.startswith(b"\x89PNG") for image in shown)
    assert "255.0" in capsys.readouterr().out  # the whitest borders come first
