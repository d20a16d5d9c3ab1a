"""A virtual environment for each server: frameworks pin packages that do not go together."""

import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements"
_INSTALL_TIMEOUT = 1800.0  # seconds


class Unavailable(Exception):
    """This cannot be had on this machine; the message says why."""


def make(name: str, folder: Path) -> Path:
    """Install the packages of ``requirements/NAME.txt``, unless a former run did; the environment's Python.

    Args:
        name: Of the requirements file and of the environment.
        folder: Holds the environments.

    Raises:
        Unavailable: The packages cannot be installed.
    """
    requirements = REQUIREMENTS / f"{name}.txt"
    environment = folder / name
    python = environment / "bin" / "python"
    installed = environment / "installed.txt"  # written last: what is missing or differs is made anew
    if installed.exists() and installed.read_text() == requirements.read_text():
        return python
    print(f"installing the packages of {name}", file=sys.stderr, flush=True)
    try:
        _run([sys.executable, "-m", "venv", "--clear", str(environment)], f"the environment {name}")
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]
        _run([*pip, str(requirements)], f"the packages of {name}")
    except OSError as error:
        raise Unavailable(f"{environment} cannot be made: {error.strerror}") from error
    installed.write_text(requirements.read_text())
    return python


def chosen(name: str) -> str:
    """The packages of a requirements file that were chosen, with their versions: those before what they need."""
    own = (REQUIREMENTS / f"{name}.txt").read_text().partition("\n# What these need")[0]
    return ", ".join(line.replace("==", " ") for line in own.splitlines() if not line.startswith("#"))


def _run(command: list[str], what: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{what} could not be installed within {_INSTALL_TIMEOUT:.0f} s") from None
    if done.returncode:
        raise Unavailable(f"{what} cannot be installed: {reason(done.stderr)}")


def reason(stderr: str) -> str:
    """What pip says went wrong: its last line that is an error, or its last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["no reason was given"])[-1]
