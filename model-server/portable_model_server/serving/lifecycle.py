"""The versions of one model, which a thread of its own loads, drains and unloads.

A new version loads beside the old one. The old one is unloaded only when a desired version is available, and only
after the calls on it have ended. So a model can always be called, but two versions need memory for a while.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from portable_model_server.engines.base import LoadedModel
from portable_model_server.errors import ServingError, not_found, shown_name
from portable_model_server.serving.folder_watch import FolderWatch
from portable_model_server.serving.versions import Servable, State, Version, VersionStatus

_LOGGER = logging.getLogger(__name__)
_MOST_CHANGES = 10  # of a folder that is being copied, within one load
Loader = Callable[[Path], LoadedModel]


@dataclass(frozen=True)
class Retries:
    """How often a failed load is tried again.

    Attributes:
        count: Tries after the first one.
        interval_s: Seconds between two tries.
    """

    count: int
    interval_s: float


class _ChangedMeanwhile(ServingError):
    """A version was loaded from a folder that was not yet whole, or may not have been."""


class ServedModel:
    """The versions of one model, and the thread that loads those that are desired and unloads the others."""

    def __init__(self, name: str, load: Loader, retries: Retries, on_change: Callable[[], None]) -> None:
        """Start the thread.

        Args:
            name: Name by which callers ask for the model.
            load: Loads and warms up the model in a version folder; raises ServingError.
            retries: How often a failed load is tried again.
            on_change: Called, outside any lock, after a version became available or ended.
        """
        self.name = name
        self._load = load
        self._retries = retries
        self._on_change = on_change
        self._changed = threading.Condition()
        self._versions: dict[int, Version] = {}
        self._desired: dict[int, Path] = {}
        self._closing = False
        # A daemon, since a load cannot be interrupted and must not keep the process alive.
        self._thread = threading.Thread(target=self._work, name=f"model {name}", daemon=True)
        self._thread.start()

    def set_desired_versions(self, versions: Mapping[int, Path]) -> None:
        """Set which versions, by number, are served from now on; returns at once.

        Called again and again, it also looks whether the folders of versions that do not load change.
        """
        self._look_at_folders()
        with self._changed:
            for number, path in versions.items():
                version = self._versions.get(number)
                # A version that failed is tried again only after its folder was gone in between, or has changed.
                if version is None or (version.state is State.END and (number not in self._desired or version.settled)):
                    self._versions[number] = Version(number, path)
            self._desired = dict(versions)
            self._changed.notify_all()

    def statuses(self) -> list[VersionStatus]:
        """Return the status of every version so far, the highest first; unloaded ones are END."""
        with self._changed:
            versions = sorted(self._versions.values(), key=lambda version: -version.number)
            return [VersionStatus(version.number, version.state, version.error) for version in versions]

    @contextmanager
    def hold(self, number: int | None) -> Iterator[Servable]:
        """Yield a version to call, the highest available one for None; it stays loaded until the block ends.

        Raises:
            ServingError: No such version is available (NOT_FOUND).
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
        """Unload every version; return False if a load or a call still runs after the time."""
        with self._changed:
            self._desired = {}
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _look_at_folders(self) -> None:
        with self._changed:
            watches = [
                (version, version.watch)
                for version in self._versions.values()
                if version.watch and version.number in self._desired
            ]
        for version, watch in watches:
            if watch.settled():  # reads the folder, and so outside the lock, for which calls wait
                with self._changed:
                    version.settled = version.watch is watch

    def _work(self) -> None:
        while (version := self._next()) is not None:
            if version.state is State.LOADING:
                self._load_version(version)
            else:
                self._unload_version(version)
            self._on_change()

    def _next(self) -> Version | None:
        """Wait for a version to load or unload, and mark it LOADING or UNLOADING; None ends the thread."""
        with self._changed:
            while True:
                for version in self._versions.values():
                    if version.state is State.START and version.number not in self._desired:
                        version.state = State.END
                available = [version for version in self._versions.values() if version.state is State.AVAILABLE]
                obsolete = [version for version in available if version.number not in self._desired]
                # Source of both rules: tensorflow_serving/core/availability_preserving_policy.cc.
                if obsolete and (not self._desired or len(obsolete) < len(available)):
                    version = min(obsolete, key=lambda version: version.number)
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

    def _load_version(self, version: Version) -> None:
        """Load a version, again and again if that fails. After a change of the folder the tries are counted anew.

        But not for ever, since other versions wait, and something may be written there all the time.
        """
        tries_left, changes_left = self._retries.count, _MOST_CHANGES
        while (failure := self._try(version, last=not tries_left)) is not None:
            _LOGGER.error(
                "version %d of model %s failed to load (%d more tries): %s",
                version.number,
                self.name,
                tries_left,
                failure,
            )
            with self._changed:
                if tries_left:
                    self._changed.wait_for(
                        lambda: version.settled or version.number not in self._desired,
                        max(self._retries.interval_s, 0),
                    )
                if not tries_left or version.number not in self._desired:
                    version.error, version.state = failure, State.END
                    return
            if (
                changes_left
                and not isinstance(failure, _ChangedMeanwhile)
                and version.watch
                and version.watch.changed()
            ):
                _LOGGER.info("the folder of version %d of model %s has changed", version.number, self.name)
                tries_left, changes_left = self._retries.count, changes_left - 1
            else:
                tries_left -= 1

    def _try(self, version: Version, *, last: bool) -> ServingError | None:
        """Load a version once; return why it failed.

        A folder that changes meanwhile may hold weights of which a part is missing, and not every engine notices. If
        it is the last try, such a version is served all the same: perhaps something else is written there.
        """
        _LOGGER.info("loading version %d of model %s", version.number, self.name)
        watch = FolderWatch(version.path)
        with self._changed:
            version.watch, version.settled = watch, False
        try:
            model = self._load(version.path)
        except ServingError as error:
            return error
        except Exception:
            _LOGGER.exception("loading version %d of model %s broke", version.number, self.name)
            return ServingError(grpc.StatusCode.INTERNAL, "the load broke; see the server's log")
        if not last and watch.changed():
            self._close(model, version)
            return _ChangedMeanwhile(grpc.StatusCode.UNAVAILABLE, "its folder changed while it was loaded")
        with self._changed:
            version.model, version.state, version.watch = model, State.AVAILABLE, None
        _LOGGER.info("version %d of model %s is available", version.number, self.name)
        return None

    def _close(self, model: LoadedModel, version: Version) -> None:
        try:
            model.close()
        except Exception:  # the thread must go on to the other versions
            _LOGGER.exception("closing version %d of model %s broke", version.number, self.name)

    def _unload_version(self, version: Version) -> None:
        with self._changed:
            self._changed.wait_for(lambda: version.in_flight == 0)
            model, version.model = version.loaded, None
        self._close(model, version)
        with self._changed:
            version.state = State.END
            if version.number in self._desired:  # it was desired again while it drained
                self._versions[version.number] = Version(version.number, self._desired[version.number])
        _LOGGER.info("version %d of model %s is unloaded", version.number, self.name)


def servable_not_found(name: str, number: int | None) -> ServingError:
    """Return the error for a call that no loaded version fits."""
    shown = shown_name(name)
    wanted = f"Latest({shown})" if number is None else f"Specific({shown}, {number})"
    return not_found(f"Servable not found for request: {wanted}")
