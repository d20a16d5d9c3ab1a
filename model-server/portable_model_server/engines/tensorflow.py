"""Runs a SavedModel by TensorFlow itself: the reference, and the engine for what OpenVINO cannot run.

Each model has a graph and a session of its own, by the code that tensorflow/serving runs too. The session holds every
signature, computes only the outputs that are asked for, and frees its memory when it is closed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from portable_model_server.engines.base import (
    TENSORFLOW,
    EngineError,
    InvalidInputError,
    Threads,
    UnsupportedError,
    check_inputs,
)
from portable_model_server.engines.c_api import INVALID_ARGUMENT, Session, TensorFlowError
from portable_model_server.engines.form import FLOAT32
from portable_model_server.engines.memory import trim_heap
from portable_model_server.engines.saved_model import SERVE_TAG, Signature, read_saved_model, signatures


class TensorFlowEngine:
    """Loads models into TensorFlow sessions."""

    name = TENSORFLOW

    def __init__(self, threads: Threads) -> None:
        # By itself, TensorFlow counts the host's CPUs and overlooks a container's quota.
        self._intra_op = threads.intra_op or threads.cpus
        self._inter_op = threads.inter_op or threads.cpus

    def load(self, path: Path) -> "TensorFlowModel":
        """Load a SavedModel, its variables and tables.

        Raises:
            SavedModelError: There is no readable SavedModel.
            EngineError: TensorFlow cannot load it.
        """
        declared = signatures(read_saved_model(path))
        trim_heap()
        try:
            session = Session(path, SERVE_TAG, self._intra_op, self._inter_op)
        except (TensorFlowError, OSError) as error:
            raise EngineError(f"TensorFlow cannot load the model: {_reason(error)}") from error
        for name, signature in declared.items():
            for alias, info in (*signature.inputs.items(), *signature.outputs.items()):
                # A sparse tensor has no name of its own.
                if info.is_tensor and info.name and not session.has(info.name):
                    session.close()
                    raise EngineError(
                        f'TensorFlow cannot load the model: the graph has no tensor "{info.name}", '
                        f'which is "{alias}" of the signature "{name}"'
                    )
        trim_heap()
        return TensorFlowModel(declared, session, self._inter_op)


class TensorFlowModel:
    """A model in a TensorFlow session; see ``base.LoadedModel``."""

    engine, precision = TENSORFLOW, FLOAT32
    paying_rows = 1  # four callers of one image each got 8.4 images/s, batches of eight 6.2 (Xception, 2 cores)

    def __init__(self, declared: Mapping[str, Signature], session: Session, streams: int) -> None:
        self.streams = streams
        self.signatures = declared
        self._session = session

    def predict(
        self, signature: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> dict[str, NDArray[Any]]:
        """See ``base.LoadedModel.predict``."""
        declared = self.signatures[signature]
        if not all(info.name for info in (*declared.inputs.values(), *declared.outputs.values())):
            raise UnsupportedError(f'the signature "{signature}" has sparse tensors, which this server does not have')
        feeds = {declared.inputs[alias].name: array for alias, array in inputs.items()}
        fetches = {alias: declared.outputs[alias].name for alias in outputs}
        computed = [name for name in fetches.values() if name not in feeds]  # TensorFlow computes none that it is given
        try:
            values = dict(zip(computed, self._session.run(feeds, computed) if computed else (), strict=True))
        except TensorFlowError as error:
            if error.code != INVALID_ARGUMENT:
                failure = EngineError(f"TensorFlow failed to compute: {_reason(error)}")
                failure.code = error.code
                raise failure from error
            check_inputs(declared, inputs)  # its message is clearer than the graph's
            raise InvalidInputError(_reason(error)) from error
        return {alias: values[name] if name in values else feeds[name].copy() for alias, name in fetches.items()}

    def close(self) -> None:
        """See ``base.LoadedModel.close``."""
        self._session.close()
        trim_heap()


def _reason(error: Exception) -> str:
    """The message of an error, without the node and the stack that TensorFlow puts around it."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
