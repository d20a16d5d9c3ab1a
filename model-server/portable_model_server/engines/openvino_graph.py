"""A graph that OpenVINO has compiled: its ports by the signature's names, its requests, its memory."""

import math
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from portable_model_server.engines.base import EngineError, InvalidInputError, noise, shapes_text
from portable_model_server.engines.memory import drop_mapped_pages
from portable_model_server.engines.saved_model import Signature, TensorInfo

# OpenVINO keeps the working memory of the largest batch so far. It may keep that of batches up to this many rows.
_KEPT_BATCH = 4
_TRIALS = 3


class Graph:
    """A compiled model with one inference request for each of its streams; further callers wait for one."""

    def __init__(
        self, compiled: Any, inputs: Mapping[str, TensorInfo], outputs: Mapping[str, TensorInfo], folder: Path | None
    ) -> None:
        """Find the ports.

        Args:
            compiled: OpenVINO's compiled model.
            inputs: The inputs by alias.
            outputs: The outputs by alias.
            folder: Where the files lie from which OpenVINO maps the constants; None if it does not.

        Raises:
            EngineError: The names do not tell which port belongs to an alias.
        """
        self._compiled = compiled
        self._inputs = _ports(compiled.inputs, inputs)
        self._outputs = _ports(compiled.outputs, outputs)
        self._mapped_from = folder
        self.streams: int = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(self.streams):
            self._idle.put(compiled.create_infer_request())
        self._oversized = False
        self._releasing = threading.Lock()

    def compute(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Compute the named outputs.

        Raises:
            InvalidInputError: The graph cannot compute on inputs of these shapes.
            EngineError: OpenVINO failed.
        """
        request = self._idle.get()
        try:
            results = request.infer({self._inputs[alias]: array for alias, array in inputs.items()}, share_outputs=True)
            if self._mapped_from:  # the first prediction packs the weights
                drop_mapped_pages(self._mapped_from)
                self._mapped_from = None
            return {alias: results[self._outputs[alias]].copy() for alias in outputs}
        except RuntimeError as error:
            if "shape" in str(error).lower():  # OpenVINO has one exception for every failure
                raise InvalidInputError(f"the model cannot compute on these shapes: {shapes_text(inputs)}") from error
            raise EngineError("OpenVINO failed to compute") from error
        finally:
            if any(array.ndim and len(array) > _KEPT_BATCH for array in inputs.values()):
                self._oversized = True
            self._idle.put(request)
            if self._oversized:
                self._release_memory()

    def seconds(self, signature: Signature) -> float:
        """The time of a prediction for one row of noise; infinite if there is none. The first one does not count."""
        inputs = noise(signature, rows=1)
        if inputs is None:
            return math.inf
        times = []
        try:
            for _ in range(1 + _TRIALS):
                started = time.perf_counter()
                self.compute(inputs, list(self._outputs))
                times.append(time.perf_counter() - started)
        except EngineError:  # numbers that mean something to this model, such as indices
            return math.inf
        return min(times[1:])

    def _release_memory(self) -> None:
        """Give the working memory back. OpenVINO refuses while a request runs; the last request to end tries again."""
        with self._releasing:
            requests: list[Any] = []
            try:
                while len(requests) < self.streams:
                    requests.append(self._idle.get_nowait())
                self._compiled.release_memory()
                self._oversized = False
            except queue.Empty:
                return
            finally:
                for request in requests:
                    self._idle.put(request)


def _ports(ports: Sequence[Any], tensors: Mapping[str, TensorInfo]) -> dict[str, int]:
    """The index of each alias's port.

    OpenVINO gives a port's node the name of an alias, with a suffix where that name is taken. Aliases of one tensor
    share a port, and a port has the names of all aliases of its value.

    Raises:
        EngineError: The names do not tell which port belongs to an alias.
    """
    of_tensor: dict[str, int] = {}
    for alias, info in tensors.items():
        matches = [index for index, port in enumerate(ports) if port.node.friendly_name == alias]
        matches = matches or [index for index, port in enumerate(ports) if alias in port.names]
        if len(matches) == 1:
            of_tensor.setdefault(info.name, matches[0])
    missing = sorted(alias for alias, info in tensors.items() if info.name not in of_tensor)
    if missing or len(set(of_tensor.values())) < len(of_tensor):
        raise EngineError(f"OpenVINO's names do not tell which tensor is which: {', '.join(missing or tensors)}")
    return {alias: of_tensor[info.name] for alias, info in tensors.items()}
