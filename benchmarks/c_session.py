"""TensorFlow's own C session, as ``tensorflow_model_server`` runs it, from the library in TensorFlow's wheel.

Importing TensorFlow takes 300 MB that TensorFlow Serving does not have, so this process does not import it. It knows
one kind of model: that of the converter, with uint8 images in and float32 numbers out.
"""

import ctypes
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain_tumor.contract import IMAGES

_POINTER = ctypes.c_void_p
_UINT8 = 4  # as TensorFlow numbers dtypes
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "TF_NewStatus": (_POINTER, []),
    "TF_DeleteStatus": (None, [_POINTER]),
    "TF_GetCode": (ctypes.c_int, [_POINTER]),
    "TF_Message": (ctypes.c_char_p, [_POINTER]),
    "TF_NewGraph": (_POINTER, []),
    "TF_NewSessionOptions": (_POINTER, []),
    "TF_SetConfig": (None, [_POINTER, ctypes.c_char_p, ctypes.c_size_t, _POINTER]),
    "TF_GraphOperationByName": (_POINTER, [_POINTER, ctypes.c_char_p]),
    "TF_AllocateTensor": (_POINTER, [ctypes.c_int, _POINTER, ctypes.c_int, ctypes.c_size_t]),
    "TF_TensorData": (_POINTER, [_POINTER]),
    "TF_TensorByteSize": (ctypes.c_size_t, [_POINTER]),
    "TF_DeleteTensor": (None, [_POINTER]),
    "TF_LoadSessionFromSavedModel": (_POINTER, [_POINTER] * 4 + [ctypes.c_int] + [_POINTER] * 3),
    "TF_SessionRun": (None, [_POINTER] * 4 + [ctypes.c_int] + [_POINTER] * 2 + [ctypes.c_int, _POINTER, ctypes.c_int]
                      + [_POINTER] * 2),
}  # fmt: skip


class _Output(ctypes.Structure):
    _fields_ = (("operation", _POINTER), ("index", ctypes.c_int))


def load_library() -> Any:
    """The library, with the functions that are used here.

    Raises:
        FileNotFoundError: TensorFlow is not installed.
    """
    found = importlib.util.find_spec("tensorflow")  # does not import it
    if found is None or found.origin is None:
        raise FileNotFoundError("TensorFlow is not installed")
    library = ctypes.CDLL(str(Path(found.origin).with_name("libtensorflow_cc.so.2")))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class CSession:
    """A model in a session; safe to call from several threads. It is never closed: the process ends with it.

    Args:
        library: As ``load_library`` returns it.
        folder: The SavedModel.
        intra_op: Threads for one operation, below 128.
        inter_op: Operations at the same time, below 128.

    Raises:
        RuntimeError: TensorFlow cannot load the model.
    """

    def __init__(self, library: Any, folder: Path, intra_op: int, inter_op: int) -> None:
        self._library = library
        self._graph = library.TF_NewGraph()
        options = library.TF_NewSessionOptions()
        # ConfigProto, serialized: intra_op_parallelism_threads is field 2, inter_op_parallelism_threads field 5.
        config = bytes((2 << 3, intra_op, 5 << 3, inter_op))
        self._call("TF_SetConfig", options, config, len(config))
        tags = (ctypes.c_char_p * 1)(b"serve")
        self._session = self._call(
            "TF_LoadSessionFromSavedModel", options, None, str(folder).encode(), tags, 1, self._graph, None
        )

    def predict(self, images: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        """Compute outputs, flat, for images of shape (batch, height, width, 3).

        Raises:
            RuntimeError: TensorFlow refuses the images, or fails.
        """
        library = self._library
        shape = (ctypes.c_int64 * images.ndim)(*images.shape)
        pixels = library.TF_AllocateTensor(_UINT8, shape, images.ndim, images.nbytes)
        ctypes.memmove(library.TF_TensorData(pixels), np.ascontiguousarray(images).ctypes.data, images.nbytes)
        values = (_POINTER * len(outputs))()
        given, fetched = (self._outputs(names) for names in ([IMAGES], outputs))
        inputs = (_POINTER * 1)(pixels)
        run = (self._session, None, given, inputs, 1, fetched, values, len(outputs), None, 0, None)
        try:
            self._call("TF_SessionRun", *run)
        finally:
            library.TF_DeleteTensor(pixels)
        arrays = []
        for value in values:
            content = ctypes.string_at(library.TF_TensorData(value), library.TF_TensorByteSize(value))
            arrays.append(np.frombuffer(content, np.float32))
            library.TF_DeleteTensor(value)
        return arrays

    def _outputs(self, names: Sequence[str]) -> Any:
        operations = [self._library.TF_GraphOperationByName(self._graph, name.encode()) for name in names]
        return (_Output * len(names))(*(_Output(operation, 0) for operation in operations))

    def _call(self, function: str, *arguments: Any) -> Any:
        status = self._library.TF_NewStatus()
        try:
            result = getattr(self._library, function)(*arguments, status)
            if self._library.TF_GetCode(status):
                raise RuntimeError(self._library.TF_Message(status).decode(errors="replace"))
            return result
        finally:
            self._library.TF_DeleteStatus(status)
