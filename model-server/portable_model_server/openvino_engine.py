"""Runs a SavedModel by OpenVINO: no TensorFlow, a fifth of its memory, a sixth of its load time.

What OpenVINO would get wrong without a word is caught here: a wrong shape (it drops a graph's assertions), an empty
batch (it may answer the one before), numbers of 64 bits (it computes in 32), and other signatures than the default.
"""

import queue
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portable_model_server.engine import (
    OPENVINO,
    EngineError,
    InvalidInputError,
    Threads,
    Usage,
    check_inputs,
    shapes_text,
    trim_heap,
)
from portable_model_server.saved_model import Signature, TensorInfo, constant_outputs, read_saved_model, signatures
from serving_api.names import DEFAULT_SIGNATURE

# `import openvino` also imports its converter, and that reports each import to its makers over the network. None
# makes both imports fail, which openvino allows for; the runtime is all that this server needs.
for _name in ("openvino.tools.ovc", "openvino_telemetry"):
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]

import openvino  # noqa: E402 - after its telemetry is shut off

# The first array that openvino makes sets up its numpy binding, and two threads that do so at once wait for each other
# for ever, with the interpreter's lock held: so the importing thread makes it.
_ = openvino.Tensor(np.zeros(1, np.float32)).data

# The CPU plugin turns them into their 32-bit kin and lets numbers overflow.
_TOO_WIDE = {2: "float64", 9: "int64", 23: "uint64"}
# OpenVINO keeps the working memory of the largest batch so far; up to this many rows it may.
_KEPT_BATCH = 4


class OpenVINOEngine:
    """Loads models into OpenVINO's CPU plugin: streams of one thread each, up to the CPU limit."""

    name = OPENVINO

    def __init__(self, threads: Threads) -> None:
        width = threads.intra_op or 1
        streams = threads.inter_op or max(1, threads.cpus // width)
        self._core = openvino.Core()
        self._properties = {
            "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 where the CPU has it: 1e-2 off
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": streams * width,
            "ENABLE_CPU_PINNING": False,  # two servers on one machine would pin themselves to the same CPUs
        }

    def load(self, path: Path) -> "OpenVINOModel":
        """Compile a SavedModel; signatures other than the default must be constants.

        Raises:
            SavedModelError: there is no readable SavedModel.
            EngineError: OpenVINO cannot run it.
        """
        meta_graph = read_saved_model(path)
        declared = signatures(meta_graph)
        constants = {name: constant_outputs(meta_graph, signature) for name, signature in declared.items()}
        del meta_graph  # as large as the weights
        computed = {name for name, signature in declared.items() if signature.outputs.keys() - constants[name].keys()}
        if computed - {DEFAULT_SIGNATURE}:
            others = ", ".join(sorted(computed - {DEFAULT_SIGNATURE}))
            raise EngineError(f"OpenVINO computes only the signature {DEFAULT_SIGNATURE}, this model also has {others}")
        graph = None
        if computed:
            wanted = {
                a: i for a, i in declared[DEFAULT_SIGNATURE].outputs.items() if a not in constants[DEFAULT_SIGNATURE]
            }
            graph = self._compile(path, declared[DEFAULT_SIGNATURE], wanted)
        trim_heap()
        return OpenVINOModel(declared, constants, graph)

    def _compile(self, path: Path, signature: Signature, outputs: Mapping[str, TensorInfo]) -> "_Graph":
        for alias, info in signature.inputs.items():
            if info.dtype in _TOO_WIDE:
                raise EngineError(f'OpenVINO cuts the {_TOO_WIDE[info.dtype]} input "{alias}" to 32 bits')
        try:
            compiled = self._core.compile_model(self._core.read_model(path), "CPU", self._properties)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot compile the model: {' '.join(str(error).split())}") from error
        return _Graph(compiled, _ports(compiled.inputs, signature.inputs), _ports(compiled.outputs, outputs))


class OpenVINOModel:
    """A model in OpenVINO; see ``engine.LoadedModel``."""

    engine = OPENVINO

    def __init__(
        self,
        declared: Mapping[str, Signature],
        constants: Mapping[str, Mapping[str, NDArray[Any]]],
        graph: "_Graph | None",
    ) -> None:
        self.signatures = declared
        self._constants = constants
        self._graph = graph
        self._usage = Usage()

    def predict(
        self, signature: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> dict[str, NDArray[Any]]:
        """See ``engine.LoadedModel.predict``."""
        with self._usage.prediction():
            check_inputs(self.signatures[signature], inputs)
            constants = self._constants[signature]
            answer = {alias: constants[alias].copy() for alias in outputs if alias in constants}
            computed = [alias for alias in outputs if alias not in constants]
            if computed and self._graph:
                answer |= self._graph.compute(inputs, computed)
            return answer

    def close(self) -> None:
        """See ``engine.LoadedModel.close``."""
        self._usage.close()
        self._graph = None
        trim_heap()


class _Graph:
    """A compiled model with as many inference requests as it has streams; a caller beyond them waits."""

    def __init__(self, compiled: Any, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
        self._compiled = compiled
        self._inputs = inputs
        self._outputs = outputs
        self._streams: int = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(self._streams):
            self._idle.put(compiled.create_infer_request())
        self._oversized = False
        self._releasing = threading.Lock()

    def compute(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        request = self._idle.get()
        try:
            results = request.infer({self._inputs[a]: array for a, array in inputs.items()}, share_outputs=True)
            return {alias: results[self._outputs[alias]].copy() for alias in outputs}
        except RuntimeError as error:
            if "shape" in str(error).lower():  # it has one exception for all
                raise InvalidInputError(f"the model cannot compute on these shapes: {shapes_text(inputs)}") from error
            raise EngineError("OpenVINO failed to compute") from error
        finally:
            if any(array.ndim and len(array) > _KEPT_BATCH for array in inputs.values()):
                self._oversized = True
            self._idle.put(request)
            if self._oversized:
                self._release_memory()

    def _release_memory(self) -> None:
        """Give back the working memory, unless a request runs: OpenVINO then refuses, and the last to end tries."""
        with self._releasing:
            requests: list[Any] = []
            try:
                while len(requests) < self._streams:
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

    OpenVINO names a port's node by an alias, with a suffix where that is taken; aliases of one tensor share a port,
    and a port carries every alias of its value.

    Raises:
        EngineError: an alias's port cannot be told.
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
