"""Runs a SavedModel by OpenVINO: without TensorFlow, in a fifth of its memory and a sixth of its load time.

This module refuses what OpenVINO would silently compute wrong: a wrong shape (it drops a graph's assertions), an empty
batch (it may return the outputs of the batch before), and numbers of 64 bits (it computes in 32).
"""

import logging
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portable_model_server.engines.base import (
    OPENVINO,
    EngineError,
    Threads,
    UnsupportedError,
    check_inputs,
    check_shapes,
    without_rows,
)
from portable_model_server.engines.constants import ConstantOutput, constant_outputs
from portable_model_server.engines.form import FLOAT32, choose_form
from portable_model_server.engines.memory import trim_heap
from portable_model_server.engines.openvino_graph import Graph
from portable_model_server.engines.saved_model import (
    Signature,
    TensorInfo,
    has_assertions,
    placeholders,
    read_saved_model,
    signatures,
    write_with_default,
)
from serving_api.names import DEFAULT_SIGNATURE
from serving_api.tensors import DTYPES

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
# A prediction that one thread makes in less is not divided among several. Two threads gained 7 % on the shipped model
# (1 ms) with the machine to itself, and lost up to 30 % beside other programs; they gained 100 % on Xception (160 ms).
_WORTH_DIVIDING_S = 0.010


class OpenVINOEngine:
    """Loads models into OpenVINO's CPU plugin: one prediction at a time on every thread, or one on each thread.

    One at a time gives a lone caller every core, and many callers too, once those who wait share a prediction
    (``serving.batching``): on two threads, a batch of two keeps both as busy as two predictions do. One on each thread
    is for models that take no batches, and for small ones, which wait for their threads longer than they gain.
    """

    name = OPENVINO

    def __init__(self, threads: Threads, precision: str = "", *, partly: bool = True) -> None:
        """Prepare to load.

        Args:
            threads: How many threads a model may use.
            precision: The form of a model to load (``form.choose_form``).
            partly: Whether a model may be loaded of which OpenVINO cannot compute some signatures.
        """
        self._precision = precision
        self._partly = partly
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
        """Compile a SavedModel: each signature by itself, but for its outputs that are constants.

        Raises:
            SavedModelError: There is no readable SavedModel.
            EngineError: OpenVINO cannot run it.
        """
        meta_graph = read_saved_model(path)
        declared = signatures(meta_graph)
        constants = {name: constant_outputs(meta_graph, signature) for name, signature in declared.items()}
        asserts = has_assertions(meta_graph)
        fed, default = placeholders(meta_graph), declared.get(DEFAULT_SIGNATURE)
        readable = default and all(fed.get(info.name) == "Placeholder" for info in default.inputs.values())
        del meta_graph  # as large as the weights
        form = choose_form(path, self._precision)
        if form.metadata:
            constants = {
                name: {alias: output.replaced(*form.metadata) for alias, output in outputs.items()}
                for name, outputs in constants.items()
            }
        computed = {
            name: {
                alias: info
                for alias, info in signature.outputs.items()
                if alias not in constants[name] and info.is_tensor
            }
            for name, signature in declared.items()
        }
        # The default one first: without it, the others need not be compiled.
        names = sorted(computed, key=lambda name: (name != DEFAULT_SIGNATURE, name))
        computed = {name: computed[name] for name in names if computed[name]}
        if form.precision != FLOAT32 and computed.keys() - {DEFAULT_SIGNATURE}:
            raise EngineError(f"only {DEFAULT_SIGNATURE} has an int8 form: choose --precision=float32")
        as_it_is = form.file if readable or form.precision != FLOAT32 else None
        graphs, refused = self._compile_all(path, as_it_is, declared, computed)
        trim_heap()
        _LOGGER.info("OpenVINO runs the model in %s in %s", path, form.precision)
        return OpenVINOModel(declared, constants, graphs, refused, self._threads, asserts, form.precision)

    def _compile_all(
        self,
        path: Path,
        default: Path | None,
        declared: Mapping[str, Signature],
        computed: Mapping[str, Mapping[str, TensorInfo]],
    ) -> tuple[dict[str, Graph], dict[str, str]]:
        """The graphs of the signatures, and why some have none.

        Args:
            path: The version's folder.
            default: What OpenVINO reads for the default signature; None if it has to be rewritten too.
            declared: The signatures.
            computed: The outputs of each that are to be computed.

        Raises:
            EngineError: OpenVINO cannot compute the default signature, or any of several, or some if it has to.
        """
        graphs: dict[str, Graph] = {}
        refused: dict[str, str] = {}
        for name, outputs in computed.items():
            try:
                as_it_is = default if name == DEFAULT_SIGNATURE else None
                with nullcontext(as_it_is) if as_it_is else _as_default(path, name) as file:
                    graphs[name] = self._compile(file, declared[name], outputs)
            except EngineError as error:
                if name == DEFAULT_SIGNATURE or not self._partly:
                    raise
                refused[name] = str(error)
                _LOGGER.warning("calls of the signature %s of the model in %s are refused: %s", name, path, error)
        if refused and not graphs:
            raise EngineError("; ".join(refused.values()))
        return graphs, refused

    def _compile(self, file: Path, signature: Signature, outputs: Mapping[str, TensorInfo]) -> Graph:
        for alias, info in (*signature.inputs.items(), *outputs.items()):
            # It would return other numbers, such as the real part of a complex one.
            if info.dtype and info.dtype not in DTYPES:
                raise EngineError(f'OpenVINO does not know the dtype of "{alias}"')
        for alias, info in signature.inputs.items():
            if info.dtype in _TOO_WIDE:
                raise EngineError(f'OpenVINO cuts the {_TOO_WIDE[info.dtype]} input "{alias}" to 32 bits')
        graph = self._graph(file, signature, outputs, 1 if signature.has_rows else self._threads)
        if graph.streams < self._threads and graph.seconds(signature) * self._threads < _WORTH_DIVIDING_S:
            graph = self._graph(file, signature, outputs, self._threads)
        return graph

    def _graph(self, file: Path, signature: Signature, outputs: Mapping[str, TensorInfo], streams: int) -> Graph:
        try:
            compiled, folder = self._compiled(file, streams)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot compile the model: {' '.join(str(error).split())}") from error
        return Graph(compiled, signature.inputs, outputs, folder)

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
        graphs: Mapping[str, Graph],
        refused: Mapping[str, str],
        threads: int,
        asserts: bool,
        precision: str,
    ) -> None:
        self.signatures = declared
        self.precision = precision
        self._constants = constants
        self._graphs = graphs
        self._refused = refused
        self._asserts = asserts
        self.streams = min((graph.streams for graph in graphs.values()), default=1)
        # Each thread gets a row. Even one thread computes two rows of a small network faster together.
        self.paying_rows = max(2, threads)

    def predict(
        self, signature: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> dict[str, NDArray[Any]]:
        """See ``base.LoadedModel.predict``."""
        constants = self._constants[signature]
        arrays = {alias: constants[alias].array(inputs) for alias in outputs if alias in constants}
        computed = [alias for alias in outputs if alias not in constants]
        return arrays | self._compute(signature, inputs, computed) if computed else arrays

    def _compute(
        self, name: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> dict[str, NDArray[Any]]:
        if name in self._refused:
            raise UnsupportedError(
                f'the signature "{name}" cannot be computed by this server without TensorFlow: use tensorflow/serving'
            )
        declared = self.signatures[name]
        check_shapes(declared, inputs)
        # An assertion of the graph, which OpenVINO drops, may refuse an empty batch; the converter's does.
        empty = None if self._asserts else without_rows(declared, inputs, outputs)
        if empty is not None:
            return empty
        check_inputs(declared, inputs)
        return self._graphs[name].compute(inputs, outputs)

    def close(self) -> None:
        """See ``base.LoadedModel.close``."""
        self._graphs = {}
        trim_heap()


@contextmanager
def _as_default(path: Path, name: str) -> Iterator[Path]:
    """Yield a folder with a SavedModel whose default signature, the only one that OpenVINO reads, is this one.

    Raises:
        EngineError: There is no place for temporary files.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="signature-") as temporary:
            write_with_default(path, name, Path(temporary))
            yield Path(temporary)
    except OSError as error:
        raise EngineError(f'the signature "{name}" needs room in the temporary folder: {error.strerror}') from error
