"""Runs a SavedModel by TensorFlow itself: the reference, and the engine for what OpenVINO cannot run.

Each model has a graph and a session of its own, as in tensorflow/serving. The session holds every signature and has
its own threads, computes only the outputs that are asked for, and frees its memory when it is closed.
"""

import gc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from portable_model_server.engines.base import (
    TENSORFLOW,
    EngineError,
    InvalidInputError,
    Threads,
    check_inputs,
)
from portable_model_server.engines.memory import trim_heap
from portable_model_server.engines.saved_model import SERVE_TAG, Signature, read_saved_model, signatures


class TensorFlowEngine:
    """Loads models into TensorFlow sessions."""

    name = TENSORFLOW

    def __init__(self, threads: Threads) -> None:
        # By itself, TensorFlow counts the host's CPUs and overlooks a container's quota.
        self._streams = threads.inter_op or threads.cpus
        self._config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=threads.intra_op or threads.cpus,
            inter_op_parallelism_threads=self._streams,
        )

    def load(self, path: Path) -> "TensorFlowModel":
        """Load a SavedModel, its variables and tables.

        Raises:
            SavedModelError: There is no readable SavedModel.
            EngineError: TensorFlow cannot load it.
        """
        declared = signatures(read_saved_model(path))
        graph = tf.Graph()
        session = tf.compat.v1.Session(graph=graph, config=self._config)
        try:
            with graph.as_default():
                # The inputs become placeholders of any shape. Session.run would check the declared shapes itself, but
                # tensorflow/serving leaves that to the graph.
                feeds = {
                    info.name: tf.compat.v1.placeholder(tf.as_dtype(info.dtype))
                    for signature in declared.values()
                    for info in signature.inputs.values()
                }
                tf.compat.v1.saved_model.load(session, [SERVE_TAG], str(path), input_map=feeds)
            fetches = {
                info.name: feeds[info.name] if info.name in feeds else graph.get_tensor_by_name(info.name)
                for signature in declared.values()
                for info in signature.outputs.values()
            }
        except Exception as error:  # a wrong graph can raise anything
            session.close()
            raise EngineError(f"TensorFlow cannot load the model: {_reason(error)}") from error
        trim_heap()
        return TensorFlowModel(declared, session, feeds, fetches, self._streams)


class TensorFlowModel:
    """A model in a TensorFlow session; see ``base.LoadedModel``."""

    engine = TENSORFLOW
    paying_rows = 1  # four callers of one image each got 8.4 images/s, batches of eight 6.2 (Xception, 2 cores)

    def __init__(
        self,
        declared: Mapping[str, Signature],
        session: Any,
        feeds: Mapping[str, Any],
        fetches: Mapping[str, Any],
        streams: int,
    ) -> None:
        self.streams = streams
        self.signatures = declared
        self._session = session
        self._feeds = feeds
        self._fetches = fetches

    def predict(
        self, signature: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> dict[str, NDArray[Any]]:
        """See ``base.LoadedModel.predict``."""
        declared = self.signatures[signature]
        feeds = {self._feeds[declared.inputs[alias].name]: array for alias, array in inputs.items()}
        fetches = {alias: self._fetches[declared.outputs[alias].name] for alias in outputs}
        try:
            values = self._session.run(fetches, feeds)
        except tf.errors.InvalidArgumentError as error:
            check_inputs(declared, inputs)  # its message is clearer than the graph's
            raise InvalidInputError(_reason(error)) from error
        except Exception as error:
            raise EngineError("TensorFlow failed to compute") from error
        # A string scalar comes as plain bytes.
        return {
            alias: np.asarray(value, dtype=object if isinstance(value, bytes) else None)
            for alias, value in values.items()
        }

    def close(self) -> None:
        """See ``base.LoadedModel.close``."""
        self._session.close()
        self._session, self._feeds, self._fetches = None, {}, {}
        gc.collect()  # a graph and its operations refer to each other
        trim_heap()


def _reason(error: Exception) -> str:
    """The message of an error, without the node and the stack that TensorFlow puts around it."""
    lines = [line for line in str(getattr(error, "message", error)).splitlines() if line.strip()]
    if lines[:1] == ["Graph execution error:"]:
        lines = [line for line in lines if not line.lstrip().startswith("[[")][-1:]
    return lines[0] if lines else type(error).__name__
