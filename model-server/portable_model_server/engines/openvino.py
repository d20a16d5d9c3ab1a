"""Runs a SavedModel by OpenVINO: without TensorFlow, in a fifth of its memory and a sixth of its load time.

This module refuses what OpenVINO would silently compute wrong: a wrong shape (it drops a graph's assertions), an empty
batch (it may return the outputs of the batch before), numbers of 64 bits (it computes in 32), and signatures other
than the default one.
"""

import logging
import math
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portable_model_server.engines.base import (
    OPENVINO,
    EngineError,
    InvalidInputError,
    Threads,
    check_inputs,
    noise,
    shapes_text,
)
from portable_model_server.engines.constants import ConstantOutput, constant_outputs
from portable_model_server.engines.form import choose_form
from portable_model_server.engines.memory import drop_mapped_pages, trim_heap
from portable_model_server.engines.saved_model import (
    Signature,
    TensorInfo,
    read_saved_model,
    signatures,
)
from serving_api.names import DEFAULT_SIGNATURE

# `import openvino` also imports its converter, which reports each import to its makers over the network. The entry
# None makes both imports fail, and openvino copes with that. This server needs only the runtime.
for _name in ("openvino.tools.ovc", "openvino_telemetry"):
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]

import openvino  # noqa: E402 - after its telemetry is shut off

# The first array that openvino makes sets up its numpy binding. Two threads that do so at once block each other for
# ever, with the interpreter's lock held, so the importing thread makes that array.
_ = openvino.Tensor(np.zeros(1, np.float32)).data

_LOGGER = logging.getLogger(__name__)
# The CPU plugin converts these to 32 bits and lets numbers overflow.
_TOO_WIDE = {2: "float64", 9: "int64", 23: "uint64"}
# OpenVINO keeps the working memory of the largest batch so far. It may keep that of batches up to this many rows.
_KEPT_BATCH = 4
# A prediction that one thread makes in less is not divided among several. Two threads gained 7 % on the shipped model
# (1 ms) with the machine to itself, and lost up to 30 % beside other programs; they gained 100 % on Xception (160 ms).
_WORTH_DIVIDING_S = 0.010
_TRIALS = 3


class OpenVINOEngine:
    """Loads models into OpenVINO's CPU plugin: one prediction at a time on every thread, or one on each thread.

    One at a time gives a lone caller every core, and many callers too, once those who wait share a prediction
    (``serving.batching``): on two threads, a batch of two keeps both as busy as two predictions do. One on each thread
    is for models that take no batches, and for small ones, which wait for their threads longer than they gain.
    """

    name = OPENVINO

    def __init__(self, threads: Threads, precision: str = "") -> None:
        """Prepare to load.

        Args:
            threads: How many threads a model may use.
            precision: The form of a model to load (``form.choose_form``).
        """
        self._precision = precision
        # OpenVINO divides the threads by itself, so the flags of TensorFlow's two pools are one limit here.
        self._threads = max(threads.intra_op or threads.cpus, threads.inter_op or threads.cpus)
        self._core = openvino.Core()
        self._properties = {
            "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 where the CPU has it: 1e-2 off
            "INFERENCE_NUM_THREADS": self._threads,
            "ENABLE_CPU_PINNING": False,  # else two servers on one machine pin themselves to the same CPUs
            "TBB_PARTITIONER": "AUTO",  # a thread whose CPU is taken does not keep the others waiting
        }

    def load(self, path: Path) -> "OpenVINOModel":
        """Compile a SavedModel; the outputs of signatures other than the default must be constants.

        Raises:
            SavedModelError: There is no readable SavedModel.
            EngineError: OpenVINO cannot run it.
        """
        meta_graph = read_saved_model(path)
        declared = signatures(meta_graph)
        constants = {name: constant_outputs(meta_graph, signature) for name, signature in declared.items()}
        del meta_graph  # as large as the weights
        form = choose_form(path, self._precision)
        if form.metadata:
            constants = {
                name: {alias: output.replaced(*form.metadata) for alias, output in outputs.items()}
                for name, outputs in constants.items()
            }
        computed = {name for name, signature in declared.items() if signature.outputs.keys() - constants[name].keys()}
        if computed - {DEFAULT_SIGNATURE}:
            others = ", ".join(sorted(computed - {DEFAULT_SIGNATURE}))
            raise EngineError(f"OpenVINO computes only the signature {DEFAULT_SIGNATURE}, this model also has {others}")
        graph = None
        if computed:
            default = declared[DEFAULT_SIGNATURE]
            outputs = {
                alias: info for alias, info in default.outputs.items() if alias not in constants[DEFAULT_SIGNATURE]
            }
            graph = self._compile(form.file, default, outputs)
        trim_heap()
        _LOGGER.info("OpenVINO runs the model in %s in %s", path, form.precision)
        return OpenVINOModel(declared, constants, graph, self._threads)

    def _compile(self, file: Path, signature: Signature, outputs: Mapping[str, TensorInfo]) -> "_Graph":
        for alias, info in signature.inputs.items():
            if info.dtype in _TOO_WIDE:
                raise EngineError(f'OpenVINO cuts the {_TOO_WIDE[info.dtype]} input "{alias}" to 32 bits')
        graph = self._graph(file, signature, outputs, 1 if signature.has_rows else self._threads)
        if graph.streams < self._threads and graph.seconds(signature) * self._threads < _WORTH_DIVIDING_S:
            graph = self._graph(file, signature, outputs, self._threads)
        return graph

    def _graph(self, file: Path, signature: Signature, outputs: Mapping[str, TensorInfo], streams: int) -> "_Graph":
        try:
            compiled, folder = self._compiled(file, streams)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot compile the model: {' '.join(str(error).split())}") from error
        return _Graph(compiled, _ports(compiled.inputs, signature.inputs), _ports(compiled.outputs, outputs), folder)

    def _compiled(self, file: Path, streams: int) -> tuple[Any, Path | None]:
        """A compiled model, and the folder from which it maps its constants, deleted already; None if in memory.

        OpenVINO packs the weights for its kernels, and keeps the constants that they come from as well. A model from
        OpenVINO's own cache has those in a mapped file, whose pages can go: a quarter of an Xception's memory.

        Raises:
            RuntimeError: OpenVINO cannot compile it.
        """
        properties = self._properties | {"NUM_STREAMS": streams}
        try:
            with tempfile.TemporaryDirectory(prefix="openvino-") as name:
                folder = Path(name).resolve()
                for _ in range(2):  # the first one writes the cache, the second one reads it
                    compiled = self._core.compile_model(file, "CPU", properties | {"CACHE_DIR": str(folder)})
                return compiled, folder
        except (OSError, RuntimeError) as error:  # no place for temporary files, or for that many bytes
            _LOGGER.info("the model in %s is compiled without a cache: %s", file, " ".join(str(error).split()))
        return self._core.compile_model(file, "CPU", properties), None


class OpenVINOModel:
    """A model in OpenVINO; see ``base.LoadedModel``."""

    engine = OPENVINO

    def __init__(
        self,
        declared: Mapping[str, Signature],
        constants: Mapping[str, Mapping[str, ConstantOutput]],
        graph: "_Graph | None",
        threads: int,
    ) -> None:
        self.signatures = declared
        self._constants = constants
        self._graph = graph
        self.streams = graph.streams if graph else 1
        # Each thread gets a row. Even one thread computes two rows of a small network faster together.
        self.paying_rows = max(2, threads)

    def predict(
        self, signature: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> dict[str, NDArray[Any]]:
        """See ``base.LoadedModel.predict``."""
        constants = self._constants[signature]
        arrays = {alias: constants[alias].array(inputs) for alias in outputs if alias in constants}
        computed = [alias for alias in outputs if alias not in constants]
        if computed and self._graph:
            check_inputs(self.signatures[signature], inputs)
            arrays |= self._graph.compute(inputs, computed)
        return arrays

    def close(self) -> None:
        """See ``base.LoadedModel.close``."""
        self._graph = None
        trim_heap()


class _Graph:
    """A compiled model with one inference request for each of its streams; further callers wait for one."""

    def __init__(
        self, compiled: Any, inputs: Mapping[str, int], outputs: Mapping[str, int], folder: Path | None
    ) -> None:
        self._compiled = compiled
        self._inputs = inputs
        self._outputs = outputs
        self._mapped_from = folder
        self.streams: int = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(self.streams):
            self._idle.put(compiled.create_infer_request())
        self._oversized = False
        self._releasing = threading.Lock()

    def compute(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
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
