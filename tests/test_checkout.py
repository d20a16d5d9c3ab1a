"""A checkout has the same bytes on every machine, also where git is told to write CR and LF at the end of lines."""

import subprocess
from pathlib import Path

from brain_tumor.processes import ROOT


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "core.autocrlf=true", "-c", "core.eol=crlf", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_a_checkout_with_autocrlf_has_lf(tmp_path: Path) -> None:
    """As git for Windows is installed, and so what WSL finds in a folder of Windows."""
    git(tmp_path, "clone", "--quiet", "--no-checkout", "--shared", str(ROOT), "clone")
    git(tmp_path / "clone", "checkout", "--quiet", "HEAD")
    # Each line: "i/lf w/crlf attr/text=auto eol=lf<tab>path", the line ends in the index and in the working tree.
    files = [line.partition("\t") for line in git(tmp_path / "clone", "ls-files", "--eol").splitlines()]
    assert len(files) > 500
    texts = [(path, ends) for ends, _, path in files if "attr/-text" not in ends]
    assert [path for path, ends in texts if "i/lf" not in ends and "i/none" not in ends] == [], (
        "name it in .gitattributes"
    )
    assert [path for path, ends in texts if "w/crlf" in ends or "w/mixed" in ends] == []
    assert git(tmp_path / "clone", "status", "--porcelain") == ""
