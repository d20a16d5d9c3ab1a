"""Python environments with the Keras versions that people's models were saved by.

A model file says little about itself. Only a file that the version in question has written shows whether it can be
read. Each environment is made once, from the package registry, in ``.tools/keras`` of the checkout.
"""

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.processes import ROOT

FOLDER = ROOT / ".tools" / "keras"
PYTHON = "3.11"  # the newest for which TensorFlow 2.15, the last with Keras 2, exists
ALL = "KERAS_FORMS"  # with the value "all" in the environment, every version below writes the forms
_INSTALL_TIMEOUT = 900  # seconds; about 40 where the registry is near
# The build without a GPU is smaller, and exists for most machines only.
_PACKAGE = "tensorflow-cpu" if (sys.platform, platform.machine()) == ("linux", "x86_64") else "tensorflow"


def _with_tensorflow(version: str, *others: str) -> tuple[str, ...]:
    return (f"{_PACKAGE}=={version}", "numpy==1.26.4", "h5py==3.16.0", "pillow==11.3.0", *others)


_TENSORFLOW = {
    "2.15": _with_tensorflow("2.15.1", "keras==2.15.0", "opencv-python-headless==4.11.0.86"),
    "2.16": _with_tensorflow("2.16.2", "keras==3.3.3", "dm-tree==0.1.9"),
}
# The Keras versions, the TensorFlow that each runs on, and whether it writes the forms in every run.
_VERSIONS = {
    "2.12.0": ("2.15", True),
    "2.13.1": ("2.15", False),
    "2.14.0": ("2.15", False),
    "2.15.0": ("2.15", True),
    "3.0.5": ("2.16", True),
    "3.1.1": ("2.16", False),
    "3.3.3": ("2.16", True),
    "3.6.0": ("2.16", False),
    "3.8.0": ("2.16", False),
    "3.10.0": ("2.16", True),
    "3.12.0": ("2.16", False),
}


class NoPython(Exception):
    """There is no Python of the version that the environments need."""


def versions(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The Keras versions that write the forms in this run."""
    everything = environ.get(ALL) == "all"
    return [version for version, (_, always) in _VERSIONS.items() if always or everything]


@dataclass(frozen=True)
class Environment:
    """A Keras version that can be run.

    Attributes:
        python: The interpreter, which has TensorFlow.
        path: A folder with another Keras than the interpreter's own; it comes first in ``PYTHONPATH``.
    """

    python: Path
    path: Path | None = None

    def run(self, module: str, *arguments: object, folder: Path, timeout: float) -> str:
        """Run a module that lies in ``folder``; what it prints.

        Raises:
            AssertionError: It failed, or took longer than ``timeout`` seconds.
        """
        paths = [str(path) for path in (self.path, folder) if path]
        ended = subprocess.run(
            [str(self.python), "-W", "ignore", "-m", module, *map(str, arguments)],
            env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(paths), "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert ended.returncode == 0, f"{self.python} -m {module}:\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout


def environment(keras: str, say: Callable[[str], None]) -> Environment:
    """The environment of a Keras version; made if it is missing.

    Args:
        keras: One of the versions above.
        say: Called with a line before something is installed, which takes a while.

    Raises:
        NoPython: There is no Python for it.
    """
    tensorflow, _ = _VERSIONS[keras]
    requirements = _TENSORFLOW[tensorflow]

    def make_base(folder: Path) -> None:
        _run([_interpreter(), "-m", "venv", str(folder)])
        _install(folder / "bin" / "python", *requirements)

    base = _made(f"tensorflow-{tensorflow}", requirements, make_base, say)
    python = base / "bin" / "python"
    if f"keras=={keras}" in requirements:
        return Environment(python)

    def make_overlay(folder: Path) -> None:
        _install(python, "--no-deps", "--target", str(folder), f"keras=={keras}")

    return Environment(python, _made(f"keras-{keras}", (*requirements, keras), make_overlay, say))


def _made(name: str, content: Sequence[str], make: Callable[[Path], None], say: Callable[[str], None]) -> Path:
    """The folder of this name and content; it appears when it is complete, and one process makes it."""
    digest = hashlib.sha256(repr((PYTHON, content)).encode()).hexdigest()[:12]
    folder, unfinished = FOLDER / f"{name}-{digest}", FOLDER / f"{name}-{digest}.unfinished"
    if not folder.is_dir():
        with _lock(folder.with_name(f"{folder.name}.lock")):
            if not folder.is_dir():  # another process made it while this one waited
                say(f"Installing {name} for the tests of foreign models into {FOLDER.relative_to(ROOT)}")
                shutil.rmtree(unfinished, ignore_errors=True)
                make(unfinished)
                unfinished.rename(folder)
    return folder


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _interpreter() -> str:
    if sys.version_info[:2] == tuple(map(int, PYTHON.split("."))):
        return sys.executable
    found = shutil.which(f"python{PYTHON}")
    if found is None:
        raise NoPython(f"TensorFlow 2.15 needs Python {PYTHON}, and there is no python{PYTHON} on the PATH")
    return found


def _install(python: Path, *arguments: str) -> None:
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", *arguments])


def _run(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT)
    assert ended.returncode == 0, f"{' '.join(command)}:\n{ended.stdout}\n{ended.stderr}"
