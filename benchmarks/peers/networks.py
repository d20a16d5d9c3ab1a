"""The network that all servers share, in the form that each of them loads; made once, and kept.

A folder for each network:

- ``network.json``: the description, of which each server reads image size, resampling, scaling and class names;
- ``saved_model``: the models folder with ``model.export`` as it is, without anything of this project;
- ``network.onnx``: the same by tf2onnx; ``network.xml``: the same, read and saved by OpenVINO;
- ``project``: the models folder that ``python -m converter`` writes, of the same weights, with an int8 form.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import environments
from benchmarks.peers.environments import Unavailable
from brain_tumor.contract import INT8_MODEL, MODEL_NAME
from brain_tumor.processes import ROOT, SHIPPED_MODEL

SIDES = {"xception": 299, "small": 128, "shipped": 128}  # pixels, unless --side says otherwise
SERVERS = Path(__file__).parent / "servers"
_TIMEOUT = 900.0  # seconds for one step
EXPORT = Path("saved_model", "1")  # within a network's folder


@dataclass(frozen=True)
class Network:
    """A network whose forms lie in a folder.

    Args:
        kind: A key of ``SIDES``.
        side: Pixels of the images that it takes.
        folder: Holds its forms.
        environments: Holds the environments that make them.
    """

    kind: str
    side: int
    folder: Path
    environments: Path

    @property
    def project(self) -> Path:
        """The folder of the versions as this project serves them."""
        return SHIPPED_MODEL if self.kind == "shipped" else self.folder / "project" / MODEL_NAME

    @property
    def version(self) -> Path | None:
        """The newest version as this project serves it."""
        versions = sorted((path for path in self.project.glob("*") if path.name.isdigit()), key=lambda it: int(it.name))
        return versions[-1] if versions else None

    @property
    def int8(self) -> bool:
        """Whether the newest version has an int8 form too."""
        return self.version is not None and (self.version / INT8_MODEL).exists()

    def make(self, form: str) -> None:
        """Make one form, unless it is there.

        Args:
            form: ``saved_model``, ``network.onnx``, ``network.xml``, ``project`` or ``int8``, which lies within it.

        Raises:
            Unavailable: It cannot be made.
        """
        if form == "int8":
            self.make("project")
            if not self.int8 and self.kind != "shipped":  # which is not the benchmark's to change
                self._run(form, [sys.executable, "-m", "benchmarks.peers.make_int8", str(self.version)])
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / EXPORT).exists():
            module = ["-m", "benchmarks.peers.make_network", self.kind, str(self.side), str(self.folder)]
            self._run("saved_model", [sys.executable, *module])
        target = self.project if form == "project" else self.folder / form
        if target.exists():
            return
        if form == "project":
            keras_model, models = self.folder / "network.keras", self.folder / "project"
            self._run(form, [sys.executable, "-m", "converter", str(keras_model), str(models), "--name", MODEL_NAME])
        elif form == "network.onnx":
            arguments = ["--saved-model", str(self.folder / EXPORT), "--output", str(target), "--opset", "18"]
            self._run(form, [self._python("onnx"), "-m", "tf2onnx.convert", *arguments])
        else:
            script = str(SERVERS / "to_openvino.py")
            arguments = [str(self.folder / EXPORT), str(target)]
            self._run(form, [self._python("fastapi-openvino"), script, *arguments])

    def _python(self, environment: str) -> str:
        return str(environments.make(environment, self.environments))

    def _run(self, form: str, command: Sequence[str]) -> None:
        print(f"making {form} of {self.kind}", file=sys.stderr, flush=True)
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
        try:
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"{form} could not be made within {_TIMEOUT:.0f} s") from None
        if done.returncode:
            raise Unavailable(f"{form} cannot be made: {environments.reason(done.stderr)}")


def class_names(network: Network) -> tuple[str, ...]:
    """The classes in their order; the network's folder must hold ``network.json``."""
    return tuple(json.loads((network.folder / "network.json").read_text())["class_names"])
