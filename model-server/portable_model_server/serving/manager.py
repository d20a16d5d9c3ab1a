"""All models: finds their versions, follows the configuration, and finds the version that a call is for."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from portable_model_server.errors import failed_precondition, invalid, not_found, shown_name
from portable_model_server.serving.config import ModelConfig
from portable_model_server.serving.lifecycle import Loader, Retries, ServedModel, servable_not_found
from portable_model_server.serving.version_policy import scan, select, why_none
from portable_model_server.serving.versions import Servable, State, VersionStatus
from serving_api.messages import ModelSpec

_LOGGER = logging.getLogger(__name__)


class ModelManager:
    """Serves the models of its latest configuration."""

    def __init__(
        self,
        load: Loader,
        retries: Retries,
        *,
        poll_wait_s: float,
        labels_may_precede: bool,
        on_change: Callable[[], None],
    ) -> None:
        """Start to poll the base paths for versions.

        Args:
            load: Loads and warms up the model in a version folder; raises ServingError.
            retries: How often a failed load is tried again.
            poll_wait_s: Seconds between two polls of the base paths; 0 polls once for each configuration, a negative
                number never.
            labels_may_precede: Whether new labels may name versions that are not available yet.
            on_change: Called after a version of a model became available or ended.
        """
        self._load = load
        self._retries = retries
        self._labels_may_precede = labels_may_precede
        self._on_change = on_change
        self._lock = threading.Lock()  # guards the next three
        self._configs: list[ModelConfig] = []
        self._models: dict[str, ServedModel] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._warnings: dict[str, str] = {}
        self._poll_now = threading.Event()
        self._closed = False
        if poll_wait_s >= 0:
            wait = poll_wait_s or None
            threading.Thread(target=self._poll, args=(wait,), name="versions", daemon=True).start()

    def configure(self, configs: Sequence[ModelConfig]) -> None:
        """Serve these models from now on, and unload those that are no longer listed; returns at once.

        Raises:
            ServingError: A label names a version that is not available; nothing was changed.
        """
        with self._lock:
            labels = {config.name: self._checked_labels(config) for config in configs}
            for name in self._models.keys() - labels.keys():
                self._models[name].set_desired_versions({})
            for name in labels.keys() - self._models.keys():
                self._models[name] = ServedModel(name, self._load, self._retries, self._on_change)
            self._configs, self._labels = list(configs), labels
        self._poll_now.set()

    @contextmanager
    def hold(self, spec: ModelSpec) -> Iterator[Servable]:
        """Yield the loaded version that a ModelSpec means; it stays loaded until the block ends.

        Raises:
            ServingError: There is no such version, or the label is unknown.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        number: int | None = None
        if spec.WhichOneof("version_choice") == "version":
            number = spec.version.value
        elif spec.WhichOneof("version_choice") == "version_label":
            number = self._labels.get(spec.name, {}).get(spec.version_label)
            if number is None:
                raise invalid(f"Unrecognized servable version label: {shown_name(spec.version_label)}")
        model = self._models.get(spec.name)
        if model is None:
            raise servable_not_found(spec.name, number)
        with model.hold(number) as servable:
            yield servable

    def statuses(self, name: str, number: int | None) -> list[VersionStatus]:
        """Return the status of all versions of a model, or of the one with this number.

        Raises:
            ServingError: There is none (NOT_FOUND).
        """
        model = self._models.get(name)
        statuses = model.statuses() if model else []
        if number is not None:
            statuses = [status for status in statuses if status.number == number]
        if not statuses:
            which = "any versions" if number is None else f"version {number}"
            raise not_found(f"Could not find {which} of model {shown_name(name)}")
        return statuses

    def knows(self, name: str) -> bool:
        """Whether this model is served, or was before."""
        return name in self._models

    def all_available(self) -> bool:
        """Whether every configured model can be called."""
        return all(
            any(status.state is State.AVAILABLE for status in statuses) for statuses in self._configured().values()
        )

    def failures(self) -> dict[str, VersionStatus]:
        """Return, by name, the highest version of each configured model whose versions all failed to load."""
        return {
            name: statuses[0]
            for name, statuses in self._configured().items()
            if statuses and all(status.state is State.END and status.error for status in statuses)
        }

    def close(self, timeout_s: float) -> bool:
        """Unload all models; return whether that was done in time."""
        self._closed = True
        self._poll_now.set()
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
            assigned = self._labels.get(config.name, {}).get(label)
            if number not in available and not (self._labels_may_precede and assigned in (None, number)):
                raise failed_precondition(
                    f"Request to assign label to version {number} of model {config.name}, "
                    "which is not currently available for inference"
                )
        return dict(config.labels)

    def _poll(self, wait_s: float | None) -> None:
        while not self._closed:
            self._poll_now.clear()
            with self._lock:
                for config in self._configs:
                    self._update(config)
            self._poll_now.wait(wait_s)

    def _update(self, config: ModelConfig) -> None:
        try:
            folders = scan(config.base_path)
            desired = select(config.policy, folders)
            warning = "" if desired else f"No versions to serve under base path {config.base_path}: "
            warning += "" if desired else why_none(config.base_path, folders)
        except OSError as error:
            # Loaded versions stay: on a network file system the path may be gone for a moment only.
            self._warn_once(config.name, f"Could not find base path {config.base_path}: {error.strerror}")
            return
        self._warn_once(config.name, warning)
        self._models[config.name].set_desired_versions(desired)

    def _warn_once(self, name: str, warning: str) -> None:
        """Log a model's warning when it changes, not at every poll; an empty one clears it."""
        if warning and self._warnings.get(name) != warning:
            _LOGGER.warning("model %s: %s", name, warning)
        self._warnings[name] = warning
