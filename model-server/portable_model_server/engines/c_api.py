"""TensorFlow's C API: sessions of SavedModels, as ``tensorflow_model_server`` runs them, without Python's TensorFlow.

The library lies in TensorFlow's wheel. Importing the package would take 300 MB more.
Source: tensorflow/c/c_api.h, tf_tensor.h, tf_tstring.h and tf_status.h of TensorFlow 2.20.
"""

import ctypes
import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.random  # before the library, whose linear algebra would be taken for NumPy's
from numpy.typing import NDArray

from serving_api.tensors import DTYPE_STRING, DTYPES

INVALID_ARGUMENT = 3  # TF_INVALID_ARGUMENT
_UNIMPLEMENTED = 12  # TF_UNIMPLEMENTED
_POINTER = ctypes.c_void_p
_SIZE = ctypes.c_size_t
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "TF_NewStatus": (_POINTER, []),
    "TF_DeleteStatus": (None, [_POINTER]),
    "TF_GetCode": (ctypes.c_int, [_POINTER]),
    "TF_Message": (ctypes.c_char_p, [_POINTER]),
    "TF_NewGraph": (_POINTER, []),
    "TF_DeleteGraph": (None, [_POINTER]),
    "TF_GraphOperationByName": (_POINTER, [_POINTER, ctypes.c_char_p]),
    "TF_OperationNumOutputs": (ctypes.c_int, [_POINTER]),
    "TF_NewSessionOptions": (_POINTER, []),
    "TF_DeleteSessionOptions": (None, [_POINTER]),
    "TF_SetConfig": (None, [_POINTER, ctypes.c_char_p, _SIZE, _POINTER]),
    "TF_LoadSessionFromSavedModel": (_POINTER, [_POINTER] * 2 + [ctypes.c_char_p, _POINTER, ctypes.c_int]
                                     + [_POINTER] * 3),
    "TF_SessionRun": (None, [_POINTER] * 4 + [ctypes.c_int] + [_POINTER] * 2 + [ctypes.c_int, _POINTER, ctypes.c_int]
                      + [_POINTER] * 2),
    "TF_CloseSession": (None, [_POINTER] * 2),
    "TF_DeleteSession": (None, [_POINTER] * 2),
    "TF_AllocateTensor": (_POINTER, [ctypes.c_int, _POINTER, ctypes.c_int, _SIZE]),
    "TF_DeleteTensor": (None, [_POINTER]),
    "TF_TensorType": (ctypes.c_int, [_POINTER]),
    "TF_NumDims": (ctypes.c_int, [_POINTER]),
    "TF_Dim": (ctypes.c_int64, [_POINTER, ctypes.c_int]),
    "TF_TensorByteSize": (_SIZE, [_POINTER]),
    "TF_TensorData": (_POINTER, [_POINTER]),
    "TF_StringInit": (None, [_POINTER]),
    "TF_StringCopy": (None, [_POINTER, ctypes.c_char_p, _SIZE]),
    "TF_StringGetDataPointer": (_POINTER, [_POINTER]),
    "TF_StringGetSize": (_SIZE, [_POINTER]),
    "TF_StringDealloc": (None, [_POINTER]),
}  # fmt: skip
_STRING_BYTES = 24  # sizeof(TF_TString)


class TensorFlowError(Exception):
    """TensorFlow reports an error.

    Attributes:
        code: Its number, such as ``INVALID_ARGUMENT``.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Output(ctypes.Structure):
    """TF_Output: an operation of a graph, and which of its outputs."""

    _fields_ = (("operation", _POINTER), ("index", ctypes.c_int))


class Session:
    """A SavedModel that is loaded, with its variables and tables; safe to call from several threads.

    All sessions of a process share their threads; the first one says how many.

    Args:
        folder: The SavedModel.
        tag: Of the graph to load.
        intra_op: Threads for one operation.
        inter_op: Operations at the same time.

    Raises:
        TensorFlowError: TensorFlow cannot load the model.
        OSError: TensorFlow's library cannot be loaded.
    """

    def __init__(self, folder: Path, tag: str, intra_op: int, inter_op: int) -> None:
        self._library = load_library()
        self._graph = self._library.TF_NewGraph()
        options = self._library.TF_NewSessionOptions()
        try:
            # Source: tensorflow/core/protobuf/config.proto, the fields of ConfigProto.
            config = _field(2, intra_op) + _field(5, inter_op)
            self._call("TF_SetConfig", options, config, len(config))
            tags = (ctypes.c_char_p * 1)(tag.encode())
            self._session = self._call(
                "TF_LoadSessionFromSavedModel", options, None, str(folder).encode(), tags, 1, self._graph, None
            )
        except TensorFlowError:
            self._library.TF_DeleteGraph(self._graph)
            raise
        finally:
            self._library.TF_DeleteSessionOptions(options)

    def has(self, tensor: str) -> bool:
        """Whether the graph has a tensor of this name, such as ``images:0``."""
        output = self._output(tensor)
        return bool(output.operation) and output.index < self._library.TF_OperationNumOutputs(output.operation)

    def run(self, feeds: Mapping[str, NDArray[Any]], fetches: Sequence[str]) -> list[NDArray[Any]]:
        """Compute tensors.

        Args:
            feeds: The values of tensors that are given, by name; strings are of dtype object or bytes.
            fetches: The names of the tensors to compute, at least one; each exists (``has``).

        Returns:
            Their values, which the caller owns; strings have dtype object.

        Raises:
            TensorFlowError: TensorFlow refuses a value, or fails; or a dtype is not in ``DTYPES``.
        """
        library = self._library
        inputs = (_POINTER * len(feeds))()
        values = (_POINTER * len(fetches))()
        try:
            for index, array in enumerate(feeds.values()):
                inputs[index] = self._tensor(array)
            self._call(
                "TF_SessionRun", self._session, None,
                self._outputs(feeds), inputs, len(feeds), self._outputs(fetches), values, len(fetches), None, 0, None,
            )  # fmt: skip
            return [self._array(value) for value in values]
        finally:
            for tensor in inputs:
                self._free_strings(tensor)
            for tensor in (*inputs, *values):
                if tensor:
                    library.TF_DeleteTensor(tensor)

    def close(self) -> None:
        """Give the memory back. Nothing may run now or later.

        Raises:
            TensorFlowError: The session does not end well; the memory is given back all the same.
        """
        try:
            self._call("TF_CloseSession", self._session)
        finally:
            self._call("TF_DeleteSession", self._session)
            self._library.TF_DeleteGraph(self._graph)

    def _output(self, tensor: str) -> _Output:
        operation, _, index = tensor.partition(":")
        found = self._library.TF_GraphOperationByName(self._graph, operation.encode())
        return _Output(found if index.isdecimal() or not index else None, int(index) if index.isdecimal() else 0)

    def _outputs(self, tensors: Sequence[str] | Mapping[str, Any]) -> Any:
        return (_Output * len(tensors))(*map(self._output, tensors))

    def _tensor(self, array: NDArray[Any]) -> Any:
        library = self._library
        strings = array.dtype.kind in "SO"
        dtype = DTYPE_STRING if strings else _NUMBERS[array.dtype.type]
        size = array.size * _STRING_BYTES if strings else array.nbytes
        sizes = (ctypes.c_int64 * array.ndim)(*array.shape)
        tensor = library.TF_AllocateTensor(dtype, sizes, array.ndim, size)
        data = library.TF_TensorData(tensor)
        if strings:
            for index, value in enumerate(array.reshape(-1)):
                text = bytes(value)
                library.TF_StringInit(data + index * _STRING_BYTES)
                library.TF_StringCopy(data + index * _STRING_BYTES, text, len(text))
        elif size:
            values = np.ascontiguousarray(array)
            ctypes.memmove(data, values.ctypes.data, size)
        return tensor

    def _array(self, tensor: Any) -> NDArray[Any]:
        library = self._library
        dtype = library.TF_TensorType(tensor)
        if dtype not in DTYPES:
            raise TensorFlowError(_UNIMPLEMENTED, f"a tensor is of TensorFlow's dtype {dtype}")
        shape = tuple(library.TF_Dim(tensor, axis) for axis in range(library.TF_NumDims(tensor)))
        if dtype == DTYPE_STRING:
            strings: NDArray[Any] = np.empty(shape, dtype=object)
            for index, string in enumerate(self._strings(tensor)):
                content = library.TF_StringGetDataPointer(string)
                strings.reshape(-1)[index] = ctypes.string_at(content, library.TF_StringGetSize(string))
            return strings
        array: NDArray[Any] = np.empty(shape, dtype=DTYPES[dtype][0])
        if array.nbytes:
            ctypes.memmove(array.ctypes.data, library.TF_TensorData(tensor), array.nbytes)
        return array

    def _free_strings(self, tensor: Any) -> None:
        """Free what the strings of a tensor hold that was made here; ``TF_DeleteTensor`` frees the tensor alone."""
        if tensor and self._library.TF_TensorType(tensor) == DTYPE_STRING:
            for string in self._strings(tensor):
                self._library.TF_StringDealloc(string)

    def _strings(self, tensor: Any) -> range:
        """The addresses of a tensor's strings."""
        start = self._library.TF_TensorData(tensor) or 0
        return range(start, start + self._library.TF_TensorByteSize(tensor), _STRING_BYTES)

    def _call(self, function: str, *arguments: Any) -> Any:
        status = self._library.TF_NewStatus()
        try:
            result = getattr(self._library, function)(*arguments, status)
            if code := self._library.TF_GetCode(status):
                raise TensorFlowError(code, self._library.TF_Message(status).decode(errors="replace"))
            return result
        finally:
            self._library.TF_DeleteStatus(status)


_NUMBERS = {dtype: number for number, (dtype, _) in DTYPES.items()}


def load_library() -> Any:
    """TensorFlow's library, with the functions that are used here; the first call loads it, which takes memory.

    Raises:
        OSError: It is not installed, or cannot be loaded.
    """
    package = importlib.util.find_spec("tensorflow")  # does not import it
    if package is None or package.origin is None:
        raise OSError("TensorFlow is not installed")
    # libtensorflow_cc.so.2, or libtensorflow_cc.2.dylib
    found = next(Path(package.origin).parent.glob("libtensorflow_cc.*"), None)
    if found is None:
        raise OSError("TensorFlow's package has no libtensorflow_cc")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors are raised
    library = ctypes.CDLL(str(found))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _field(number: int, value: int) -> bytes:
    """A field of a serialized message that holds a number which is not negative."""
    encoded = bytes([number << 3])
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])
