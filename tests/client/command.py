"""``brain-tumor`` as a user runs it, in a folder and with an environment: here, or as a process of its own."""

import csv
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from brain_tumor_client.command import main
from tests.processes import CLEAN_ENVIRONMENT, ROOT


@dataclass(frozen=True)
class Command:
    """Runs ``brain-tumor`` in ``folder``; files of a test are made there too."""

    folder: Path
    url: str

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it in this process, to its end: that is quicker."""
        out, err = StringIO(), StringIO()
        with (
            chdir(self.folder),
            patch.dict(os.environ, self._environment(environment), clear=True),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                code = main(arguments)
            except SystemExit as ended:  # by argparse
                code = int(ended.code or 0)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start it as a process, which the test ends."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(self._words(arguments), cwd=self.folder, env=self._environment(environment), **pipes)

    def start_on(self, terminal: int, *arguments: str) -> subprocess.Popen[bytes]:
        """As somebody at this terminal."""
        environment = self._environment({"TERM": "xterm", "COLUMNS": "120"})
        return subprocess.Popen(
            self._words(arguments), cwd=self.folder, env=environment, stdin=terminal, stdout=terminal, stderr=terminal
        )

    def _words(self, arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "brain_tumor_client", *arguments]

    def _environment(self, changes: Mapping[str, str]) -> dict[str, str]:
        sources = str(ROOT / "client")
        own = {"PYTHONPATH": sources, "BRAIN_TUMOR_URL": self.url, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        return {**CLEAN_ENVIRONMENT, **own, **changes}

    def images(self, folder: str, count: int) -> list[str]:
        """Make so many files whose bytes begin as those of a PNG file; each file's bytes are others. Returns paths."""
        (self.folder / folder).mkdir(parents=True, exist_ok=True)
        names = [f"{folder}/{number:05}.png" for number in range(count)]
        for name in names:
            (self.folder / name).write_bytes(b"\x89PNG\r\n\x1a\n" + name.encode())
        return names

    def rows(self, name: str = "results.csv") -> list[dict[str, str]]:
        with (self.folder / name).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def files(self) -> list[str]:
        """What stands in the folder beside its subfolders, hidden files too."""
        return sorted(entry.name for entry in os.scandir(self.folder) if entry.is_file())
