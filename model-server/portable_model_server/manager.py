"""All models: looks for their versions, follows the configuration, and finds the one a call is for."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from portable_model_server.config import ModelConfig
from portable_model_server.errors import failed_precondition, invalid, not_found
from portable_model_server.served_model import (
    Loader,
    Retries,
    Servable,
    ServedModel,
    State,
    VersionStatus,
    servable_not_found,
)
from portable_model_server.versions import choose, scan

_LOGGER = logging.getLogger(__name__)


class ModelManager:
    """Serves the models of the last configuration it was given."""

    def __init__(
        self,
        load: Loader,
        retries: Retries,
        *,
        poll_wait_s: float,
        labels_may_precede: bool,
        on_change: Callable[[], None],
    ) -> None:
        """Start looking for versions.

        Args:
            load: makes a version folder's model ready; raises ServingError.
            retries: for loads that fail.
            poll_wait_s: seconds between two looks at the base paths; 0 looks once per configuration, negative never.
            labels_may_precede: new labels may name versions that are not available yet.
            on_change: called after a version of a model became available or ended.
        """
        self._load = load
        self._retries = retries
        self._labels_may_precede = labels_may_precede
        self._on_change = on_change
        self._lock = threading.Lock()  # of the next four
        self._configs: list[ModelConfig] = []
        self._models: dict[str, ServedModel] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._complaints: dict[str, str] = {}
        self._look_now = threading.Event()
        self._closed = False
        if poll_wait_s >= 0:
            wait = poll_wait_s or None
            threading.Thread(target=self._look_repeatedly, args=(wait,), name="versions", daemon=True).start()

    def configure(self, configs: Sequence[ModelConfig]) -> None:
        """Serve these models from now on; those that are no longer listed are unloaded. Returns at once.

        Raises:
            ServingError: a label names a version that is not available; nothing was changed.
        """
        with self._lock:
            labels = {config.name: self._checked_labels(config) for config in configs}
            for name in self._models.keys() - labels.keys():
                self._models[name].want({})
            for name in labels.keys() - self._models.keys():
                self._models[name] = ServedModel(name, self._load, self._retries, self._on_change)
            self._configs, self._labels = list(configs), labels
        self._look_now.set()

    @contextmanager
    def hold(self, spec: Any) -> Iterator[Servable]:
        """The loaded version that a ModelSpec means; it stays loaded meanwhile.

        Raises:
            ServingError: there is none, or the label is unknown.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        number: int | None = None
        if spec.WhichOneof("version_choice") == "version":
            number = spec.version.value
        elif spec.WhichOneof("version_choice") == "version_label":
            number = self._labels.get(spec.name, {}).get(spec.version_label)
            if number is None:
                raise invalid(f"Unrecognized servable version label: {spec.version_label}")
        model = self._models.get(spec.name)
        if model is None:
            raise servable_not_found(spec.name, number)
        with model.hold(number) as servable:
            yield servable

    def statuses(self, name: str, number: int | None) -> list[VersionStatus]:
        """The states of a model's versions, or of one.

        Raises:
            ServingError: NOT_FOUND.
        """
        model = self._models.get(name)
        statuses = model.statuses() if model else []
        if number is not None:
            statuses = [status for status in statuses if status.number == number]
        if not statuses:
            which = "any versions" if number is None else f"version {number}"
            raise not_found(f"Could not find {which} of model {name}")
        return statuses

    def knows(self, name: str) -> bool:
        """Whether this model is or was served."""
        return name in self._models

    def all_available(self) -> bool:
        """Whether every configured model answers."""
        return all(
            any(status.state is State.AVAILABLE for status in statuses) for statuses in self._configured().values()
        )

    def failures(self) -> dict[str, VersionStatus]:
        """By name, the configured models of which every version failed to load, each with its highest version."""
        return {
            name: statuses[0]
            for name, statuses in self._configured().items()
            if statuses and all(status.state is State.END and status.error for status in statuses)
        }

    def close(self, timeout_s: float) -> bool:
        """Unload all models; returns whether that was done in time."""
        self._closed = True
        self._look_now.set()
        with self._lock:
            models, self._configs = list(self._models.values()), []
        ended = [model.close(timeout_s) for model in models]
        return all(ended)

    def _configured(self) -> dict[str, list[VersionStatus]]:
        with self._lock:
            models = [self._models[config.name] for config in self._configs]
        return {model.name: model.statuses() for model in models}

    def _checked_labels(self, config: ModelConfig) -> dict[str, int]:
        model = self._models.get(config.name)
        statuses = model.statuses() if model else []
        available = {status.number for status in statuses if status.state is State.AVAILABLE}
        for label, number in config.labels.items():
            known = self._labels.get(config.name, {}).get(label)
            if number not in available and not (self._labels_may_precede and known in (None, number)):
                raise failed_precondition(
                    f"Request to assign label to version {number} of model {config.name}, "
                    "which is not currently available for inference"
                )
        return dict(config.labels)

    def _look_repeatedly(self, wait_s: float | None) -> None:
        while not self._closed:
            self._look_now.clear()
            with self._lock:
                for config in self._configs:
                    self._look(config)
            self._look_now.wait(wait_s)

    def _look(self, config: ModelConfig) -> None:
        try:
            found = scan(config.base_path)
        except OSError as error:
            # What is loaded stays: the path may be gone for a moment only, with a network file system.
            self._complain(config.name, f"Could not find base path {config.base_path}: {error.strerror}")
            return
        chosen = choose(config.policy, found)
        self._complain(config.name, "" if chosen else f"No versions to serve under base path {config.base_path}")
        self._models[config.name].want(chosen)

    def _complain(self, name: str, complaint: str) -> None:
        """Log it once, not at every look."""
        if complaint and self._complaints.get(name) != complaint:
            _LOGGER.warning("model %s: %s", name, complaint)
        self._complaints[name] = complaint
