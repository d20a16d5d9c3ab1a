"""Which engine runs a model: the one that is named, or OpenVINO with TensorFlow as its fallback."""

import importlib.util
import logging
from pathlib import Path

from portable_model_server.engines.base import OPENVINO, TENSORFLOW, Engine, EngineError, LoadedModel, Threads
from portable_model_server.engines.form import INT8

_LOGGER = logging.getLogger(__name__)


def create_engine(name: str | None, threads: Threads, precision: str = "") -> Engine:
    """Create an engine by its name; None is OpenVINO, with TensorFlow, where installed, for what it cannot run.

    Where TensorFlow is not installed, or OpenVINO is named, a model is also loaded if OpenVINO can compute only some of
    its signatures, the default one among them.

    Args:
        name: The engine.
        threads: How many threads it may use.
        precision: The form of a model to run (``form.choose_form``). TensorFlow runs float32 alone.

    Raises:
        EngineError: The name is unknown, the engine's package is not installed, or it does not run that form.
    """
    return _OpenVINOFirst(threads, precision) if name is None else _create(name, threads, precision, partly=True)


def _create(name: str, threads: Threads, precision: str, *, partly: bool) -> Engine:
    if name not in (OPENVINO, TENSORFLOW):
        raise EngineError(f'unknown engine "{name}": choose {OPENVINO} or {TENSORFLOW}')
    if not _installed(name):
        raise EngineError(f"the engine {name} is not installed: pip install {name}, or choose another engine")
    # Imported here, since each takes seconds and hundreds of MB: only the engine that is used is imported.
    if name == OPENVINO:
        from portable_model_server.engines.openvino import OpenVINOEngine

        return OpenVINOEngine(threads, precision, partly=partly)
    if precision == INT8:
        raise EngineError("TensorFlow cannot run the int8 form: leave out --precision=int8, or take --engine=openvino")
    from portable_model_server.engines.tensorflow import TensorFlowEngine

    return TensorFlowEngine(threads)


class _OpenVINOFirst:
    """OpenVINO, and TensorFlow for a model that OpenVINO cannot run."""

    name = OPENVINO

    def __init__(self, threads: Threads, precision: str) -> None:
        self._threads = threads
        self._precision = precision
        self._openvino = _create(OPENVINO, threads, precision, partly=not _installed(TENSORFLOW))

    def load(self, path: Path) -> LoadedModel:
        try:
            return self._openvino.load(path)
        except EngineError as error:
            if self._precision == INT8:
                raise
            if not _installed(TENSORFLOW):
                raise EngineError(f"{error}; TensorFlow, which could run it, is not installed") from error
            _LOGGER.warning("TensorFlow runs the model in %s, with more memory: %s", path, error)
        return _create(TENSORFLOW, self._threads, "", partly=False).load(path)


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
