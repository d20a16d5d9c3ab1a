"""One model's versions: loads, drains and unloads them in a thread of its own.

A new version loads beside the old one; the old one goes only when one that is wanted is available, and only after
the calls on it have ended. So a model always answers, at the price of memory for two versions for a while.
"""

import enum
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from portable_model_server.engine import LoadedModel
from portable_model_server.errors import ServingError, not_found

_LOGGER = logging.getLogger(__name__)
Loader = Callable[[Path], LoadedModel]


class State(enum.IntEnum):
    """A version's state, numbered as ``ModelVersionStatus.State``."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class Retries:
    """How often a failed load is tried again, and how many seconds lie between."""

    count: int
    interval_s: float


@dataclass
class _Version:
    number: int
    path: Path
    state: State = State.START
    error: ServingError | None = None
    model: LoadedModel | None = None
    in_flight: int = 0

    @property
    def loaded(self) -> LoadedModel:
        """The model of a version that is AVAILABLE or UNLOADING."""
        if self.model is None:
            raise RuntimeError(f"version {self.number} is {self.state.name} without a model")
        return self.model


@dataclass(frozen=True)
class VersionStatus:
    """What ``GetModelStatus`` says of a version; ``error`` is why it ended, if it failed to load."""

    number: int
    state: State
    error: ServingError | None


@dataclass(frozen=True)
class Servable:
    """A loaded version, held so that it stays loaded."""

    name: str
    version: int
    model: LoadedModel


class ServedModel:
    """The versions of one model and the thread that brings them to where they are wanted."""

    def __init__(self, name: str, load: Loader, retries: Retries, on_change: Callable[[], None]) -> None:
        """Start the thread.

        Args:
            name: what callers ask for.
            load: makes a version folder's model ready, warmup included; raises ServingError.
            retries: for loads that fail.
            on_change: called, outside any lock, after a version became available or ended.
        """
        self.name = name
        self._load = load
        self._retries = retries
        self._on_change = on_change
        self._changed = threading.Condition()
        self._versions: dict[int, _Version] = {}
        self._wanted: dict[int, Path] = {}
        self._closing = False
        # A daemon: a load cannot be interrupted, and must not keep a process that shall end.
        self._thread = threading.Thread(target=self._work, name=f"model {name}", daemon=True)
        self._thread.start()

    def want(self, versions: Mapping[int, Path]) -> None:
        """Say which versions shall be served from now on; returns at once."""
        with self._changed:
            for number, path in versions.items():
                known = self._versions.get(number)
                # One that failed is not tried again until its folder was gone in between.
                if known is None or (known.state is State.END and number not in self._wanted):
                    self._versions[number] = _Version(number, path)
            self._wanted = dict(versions)
            self._changed.notify_all()

    def statuses(self) -> list[VersionStatus]:
        """Every version there ever was, highest first; unloaded ones are END."""
        with self._changed:
            versions = sorted(self._versions.values(), key=lambda version: -version.number)
            return [VersionStatus(version.number, version.state, version.error) for version in versions]

    @contextmanager
    def hold(self, number: int | None) -> Iterator[Servable]:
        """A version to call, the highest available one for None; it is not unloaded meanwhile.

        Raises:
            ServingError: NOT_FOUND.
        """
        with self._changed:
            available = [version for version in self._versions.values() if version.state is State.AVAILABLE]
            if number is not None:
                available = [version for version in available if version.number == number]
            if not available:
                raise servable_not_found(self.name, number)
            version = max(available, key=lambda version: version.number)
            servable = Servable(self.name, version.number, version.loaded)
            version.in_flight += 1
        try:
            yield servable
        finally:
            with self._changed:
                version.in_flight -= 1
                self._changed.notify_all()

    def close(self, timeout_s: float) -> bool:
        """Unload everything; False if a load or a call was still under way after the time."""
        with self._changed:
            self._wanted = {}
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (version := self._next()) is not None:
            if version.state is State.LOADING:
                self._bring_up(version)
            else:
                self._take_down(version)
            self._on_change()

    def _next(self) -> _Version | None:
        """Wait for something to do; the version is already marked LOADING or UNLOADING. None: all done, closing."""
        with self._changed:
            while True:
                for version in self._versions.values():
                    if version.state is State.START and version.number not in self._wanted:
                        version.state = State.END
                available = [version for version in self._versions.values() if version.state is State.AVAILABLE]
                unwanted = [version for version in available if version.number not in self._wanted]
                # Source of both rules: tensorflow_serving/core/availability_preserving_policy.cc.
                if unwanted and (not self._wanted or len(unwanted) < len(available)):
                    version = min(unwanted, key=lambda version: version.number)
                    version.state = State.UNLOADING
                    return version
                new = [version for version in self._versions.values() if version.state is State.START]
                if new:
                    version = max(new, key=lambda version: version.number)
                    version.state = State.LOADING
                    return version
                if self._closing:
                    return None
                self._changed.wait()

    def _bring_up(self, version: _Version) -> None:
        for attempt in range(self._retries.count + 1):
            _LOGGER.info("loading version %d of model %s", version.number, self.name)
            try:
                model = self._load(version.path)
            except ServingError as error:
                failure = error
            except Exception:
                _LOGGER.exception("loading version %d of model %s broke", version.number, self.name)
                failure = ServingError(grpc.StatusCode.INTERNAL, "the load broke; see the server's log")
            else:
                with self._changed:
                    version.model, version.state = model, State.AVAILABLE
                _LOGGER.info("version %d of model %s is available", version.number, self.name)
                return
            tries_left = self._retries.count - attempt
            _LOGGER.error(
                "version %d of model %s failed to load (%d more tries): %s",
                version.number,
                self.name,
                tries_left,
                failure,
            )
            with self._changed:
                if not tries_left or self._changed.wait_for(
                    lambda: version.number not in self._wanted, max(self._retries.interval_s, 0)
                ):
                    break
        with self._changed:
            version.error, version.state = failure, State.END

    def _take_down(self, version: _Version) -> None:
        with self._changed:
            self._changed.wait_for(lambda: version.in_flight == 0)
            model, version.model = version.loaded, None
        model.close()
        with self._changed:
            version.state = State.END
            if version.number in self._wanted:  # it came back while it drained
                self._versions[version.number] = _Version(version.number, self._wanted[version.number])
        _LOGGER.info("version %d of model %s is unloaded", version.number, self.name)


def servable_not_found(name: str, number: int | None) -> ServingError:
    """No loaded version fits a call."""
    return not_found(
        f"Servable not found for request: {f'Latest({name})' if number is None else f'Specific({name}, {number})'}"
    )
