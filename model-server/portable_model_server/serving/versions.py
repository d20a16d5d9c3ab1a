"""A version of a model: its state, what is loaded, and the calls on it."""

import enum
from dataclasses import dataclass
from pathlib import Path

from portable_model_server.engines.base import LoadedModel
from portable_model_server.errors import ServingError
from portable_model_server.serving.folder_watch import FolderWatch


class State(enum.IntEnum):
    """The state of a version, with the numbers of ``ModelVersionStatus.State``."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass
class Version:
    """A version in whatever state, with the number of calls that run on it.

    That number is the only count of calls: a model is closed when it is 0. The watch follows the folder from the last
    try to load it on, until one succeeds; ``settled`` says that a new try may do better.
    """

    number: int
    path: Path
    state: State = State.START
    error: ServingError | None = None
    model: LoadedModel | None = None
    in_flight: int = 0
    watch: FolderWatch | None = None
    settled: bool = False

    @property
    def loaded(self) -> LoadedModel:
        """The model, in the states AVAILABLE and UNLOADING."""
        if self.model is None:
            raise RuntimeError(f"version {self.number} is {self.state.name} without a model")
        return self.model


@dataclass(frozen=True)
class VersionStatus:
    """What ``GetModelStatus`` returns for a version.

    Attributes:
        number: The version.
        state: Its state.
        error: Why it failed to load; None for any other version.
    """

    number: int
    state: State
    error: ServingError | None


@dataclass(frozen=True)
class Servable:
    """A loaded version, for one call.

    Attributes:
        name: Name of its model.
        version: Its number.
        model: What the engine loaded.
    """

    name: str
    version: int
    model: LoadedModel
