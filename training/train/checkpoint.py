"""The state from which a killed run continues: the weights after the last epoch, the best ones, and the history.

``state.json`` is replaced as the last step of every epoch, and names the weights that belong to it. So at whatever
moment a run is killed, the folder holds the state of a whole epoch.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from brain_tumor.atomic import atomic_file
from training.errors import TrainingError

_STATE = "state.json"


class CheckpointError(TrainingError):
    """A checkpoint or a run's folder that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Epoch:
    """One row of the history; losses are in nat.

    Attributes:
        epoch: Counted from 1 over all phases.
        phase: The phase's name.
        learning_rate: At the end of the epoch.
        loss: On the augmented training images.
        accuracy: On the augmented training images.
        validation_loss: On the validation images.
        validation_accuracy: On the validation images.
        seconds: Duration of the epoch.
    """

    epoch: int
    phase: str
    learning_rate: float
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


class Checkpoint:
    """The state of one run in a folder.

    Args:
        folder: Where the state is kept; made with the first epoch.
        identity: What distinguishes the run from every other, as a JSON document.

    Attributes:
        history: The epochs that are done.

    Raises:
        CheckpointError: The folder holds another run's state, or a damaged one.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self._folder = folder
        self._identity = identity
        self._last = self._best = ""
        self.history: list[Epoch] = []
        if (folder / _STATE).exists():
            self._read()

    def _read(self) -> None:
        path = self._folder / _STATE
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            identity = dict(state["identity"])
            self.history = [Epoch(**row) for row in state["history"]]
            self._last, self._best = state["last"], state["best"]
            whole = all((self._folder / Path(name).name).is_file() for name in (self._last, self._best))
        except (OSError, ValueError, KeyError, TypeError):
            raise CheckpointError(f"{path} is no checkpoint of this program: remove {self._folder}") from None
        require_same(identity, self._identity, self._folder.parent)
        if not whole:
            raise CheckpointError(f"{self._folder} has lost its weights: remove it to begin anew")

    def add(self, model: keras.Model, epoch: Epoch) -> None:
        """Keep the state after an epoch, the optimizer's included."""
        best = min(self.history, key=lambda past: past.validation_loss, default=None)
        history = [*self.history, epoch]
        self._folder.mkdir(parents=True, exist_ok=True)
        last = f"epoch-{epoch.epoch}.weights.h5"
        model.save_weights(self._folder / last)
        if best is None or epoch.validation_loss < best.validation_loss:
            self._best = f"best-{epoch.epoch}.npz"
            np.savez(self._folder / self._best, *model.get_weights())
        state = {
            "identity": self._identity,
            "history": [asdict(row) for row in history],
            "last": last,
            "best": self._best,
        }
        with atomic_file(self._folder / _STATE) as scratch:
            scratch.write_text(json.dumps(state), encoding="utf-8")
        self.history, self._last = history, last
        for path in self._folder.iterdir():
            if path.name not in (_STATE, self._last, self._best):
                path.unlink()

    def restore(self, model: keras.Model) -> None:
        """Give a model the weights and the optimizer's state after the last epoch.

        Args:
            model: Compiled as it was in that epoch.

        Raises:
            CheckpointError: The weights are damaged, or belong to another model.
        """
        with model.distribute_strategy.scope():
            model.optimizer.build(model.trainable_variables)
        with self._loading(self._last) as path:
            model.load_weights(path)

    def restore_best(self, model: keras.Model) -> None:
        """Give a model the weights after the epoch with the least validation loss.

        Raises:
            CheckpointError: The weights are damaged, or belong to another model.
        """
        # Opened here, because NumPy does not close a file that it cannot read.
        with self._loading(self._best) as path, path.open("rb") as stream, np.load(stream) as arrays:
            model.set_weights([arrays[f"arr_{index}"] for index in range(len(arrays.files))])

    @contextmanager
    def _loading(self, name: str) -> Iterator[Path]:
        try:
            yield self._folder / name
        except Exception as error:  # h5py, zipfile and Keras raise OSError, KeyError, ValueError, ...
            raise CheckpointError(
                f"{self._folder / name} cannot be loaded ({type(error).__name__}): remove {self._folder} to begin anew"
            ) from error


def require_same(kept: dict[str, Any], requested: dict[str, Any], folder: Path) -> None:
    """Refuse to mix two runs.

    Args:
        kept: The identity that was read from ``folder``.
        requested: The identity of the run that is to go there, before it is written as JSON.
        folder: For the message.

    Raises:
        CheckpointError: The identities differ; the message names the first difference.
    """
    before, now = _flat(kept), _flat(json.loads(json.dumps(requested)))
    for key in sorted({*before, *now}):
        if before.get(key) != now.get(key):
            raise CheckpointError(
                f"{folder} holds a run of another {key.replace('_', ' ')} ({_shortened(before.get(key))}, not "
                f"{_shortened(now.get(key))}): name another folder, or remove this one"
            )


def _flat(document: Any, name: str = "") -> dict[str, Any]:
    """The values of a nested document by their path, such as "phases 1 epochs"."""
    if document and isinstance(document, dict | list):
        parts = document.items() if isinstance(document, dict) else enumerate(document, 1)
        return {path: value for key, part in parts for path, value in _flat(part, f"{name} {key}".strip()).items()}
    return {name: document}


def _shortened(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
