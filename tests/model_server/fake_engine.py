"""An engine that loads at once, or waits for an event, and remembers which models it closed."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from portable_model_server.engines.base import UnsupportedError
from portable_model_server.engines.saved_model import Signature, TensorInfo
from portable_model_server.errors import failed_precondition
from serving_api.messages import SignatureDef

INITIALISER = "__saved_model_init_op"


class FakeModel:
    """A LoadedModel without signatures."""

    engine, precision = "fake", "float32"
    signatures: Mapping[str, Signature] = {}

    def __init__(self, path: Path) -> None:
        self.path = path
        self.closed = threading.Event()

    def predict(self, signature: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
        raise NotImplementedError

    def close(self) -> None:
        self.closed.set()


class RefusingModel:
    """A LoadedModel that has an initialiser, and a signature "other", which its engine cannot compute."""

    engine, precision = "fake", "float32"
    streams = paying_rows = 1
    signatures: Mapping[str, Signature] = {
        INITIALISER: Signature({}, {INITIALISER: TensorInfo("NoOp", 0, None)}, "", SignatureDef()),
        "other": Signature({}, {"y": TensorInfo("y:0", 1, ())}, "", SignatureDef()),
    }

    def predict(self, signature: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
        raise UnsupportedError("not here")

    def close(self) -> None:
        raise NotImplementedError


class FakeLoader:
    """Loads any path; those in ``broken`` fail, those in ``held`` wait for their event."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.held: dict[str, threading.Event] = {}
        self.attempts: list[str] = []
        self.models: dict[str, FakeModel] = {}

    def __call__(self, path: Path) -> FakeModel:
        self.attempts.append(path.name)
        if path.name in self.held:
            assert self.held[path.name].wait(30)
        if path.name in self.broken:
            raise failed_precondition(f"{path.name} is broken")
        self.models[path.name] = FakeModel(path)
        return self.models[path.name]
