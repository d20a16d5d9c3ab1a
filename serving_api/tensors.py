"""numpy arrays to TensorProto and back, for every dtype that a served model's inputs and outputs may have."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving_api.messages import DataType, TensorProto

# The field of each dtype: tensorflow/core/framework/tensor.proto.
DTYPES: dict[int, tuple[type[np.generic], str]] = {
    DataType.DT_FLOAT: (np.float32, "float_val"),
    DataType.DT_DOUBLE: (np.float64, "double_val"),
    DataType.DT_INT32: (np.int32, "int_val"),
    DataType.DT_UINT8: (np.uint8, "int_val"),
    DataType.DT_INT16: (np.int16, "int_val"),
    DataType.DT_INT8: (np.int8, "int_val"),
    DataType.DT_STRING: (np.bytes_, "string_val"),
    DataType.DT_INT64: (np.int64, "int64_val"),
    DataType.DT_BOOL: (np.bool_, "bool_val"),
    DataType.DT_UINT16: (np.uint16, "int_val"),
    DataType.DT_UINT32: (np.uint32, "uint32_val"),
    DataType.DT_UINT64: (np.uint64, "uint64_val"),
    DataType.DT_HALF: (np.float16, "half_val"),
}
DTYPE_STRING = DataType.DT_STRING
# A few values may stand for a large shape (the last one repeats); no array of more bytes is allocated for that.
MAX_REPEATED_BYTES = 4 << 20
MAX_RANK = 64  # numpy has no more
MAX_ELEMENTS = 1 << 56  # numpy counts bytes in 63 bits, and counts a size of zero as one
_NUMBERS = {dtype: number for number, (dtype, _) in DTYPES.items()}


class TensorError(ValueError):
    """A TensorProto does not hold a valid tensor, or no TensorProto can hold an array."""


def from_array(array: NDArray[Any], *, typed_fields: bool = False) -> TensorProto:
    """A TensorProto of the array's shape and dtype; arrays of bytes or objects become DT_STRING.

    Args:
        array: Any shape, a dtype of ``DTYPES``.
        typed_fields: Put the values into the field of their dtype, such as ``float_val``, as tensorflow/serving does by
            default, instead of into ``tensor_content``.

    Raises:
        TensorError: The dtype has no counterpart.
    """
    proto = declare(array.dtype, array.shape)
    if proto.dtype == DTYPE_STRING:
        proto.string_val.extend(bytes(value) for value in array.reshape(-1))
    elif typed_fields:
        values = array.view(np.uint16) if array.dtype == np.float16 else array
        getattr(proto, DTYPES[proto.dtype][1]).extend(values.reshape(-1).tolist())
    else:
        proto.tensor_content = array.tobytes()
    return proto


def declare(dtype: np.dtype[Any], shape: tuple[int, ...]) -> TensorProto:
    """A TensorProto of this dtype and shape, without values.

    Raises:
        TensorError: The dtype has no counterpart.
    """
    if dtype.kind in "SO":
        number: int = DTYPE_STRING
    elif dtype.type in _NUMBERS:
        number = _NUMBERS[dtype.type]
    else:
        raise TensorError(f"no tensor dtype for numpy's {dtype}")
    proto = TensorProto(dtype=DataType.ValueType(number))
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def to_array(proto: TensorProto) -> NDArray[Any]:
    """The array that a TensorProto holds, in ``tensor_content`` or in the field of its dtype.

    DT_STRING gives dtype object. Where a field has fewer values than the shape, its last value is repeated, as in
    TensorFlow. Numeric arrays from ``tensor_content`` are read-only views of it.

    Raises:
        TensorError: The dtype or shape is unknown, or the values do not fill the shape.
    """
    if proto.dtype not in DTYPES:
        raise TensorError(f"unsupported tensor dtype {proto.dtype}")
    if len(proto.tensor_shape.dim) > MAX_RANK:
        raise TensorError(f"the tensor has more than {MAX_RANK} dimensions")
    if proto.tensor_shape.unknown_rank or any(dim.size < 0 for dim in proto.tensor_shape.dim):
        raise TensorError("the tensor's shape is not fully known")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    count = math.prod(shape)
    if math.prod(size or 1 for size in shape) > MAX_ELEMENTS:
        raise TensorError(f"shape {list(shape)} is larger than any memory")
    dtype, field = DTYPES[proto.dtype]
    if proto.dtype != DTYPE_STRING and proto.tensor_content:
        if len(proto.tensor_content) != count * np.dtype(dtype).itemsize:
            raise TensorError(f"tensor_content of {len(proto.tensor_content)} bytes does not fill shape {list(shape)}")
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    values = getattr(proto, field)
    if len(values) > count or (count and not values):
        raise TensorError(f"{len(values)} values do not fill shape {list(shape)}")
    if proto.dtype == DTYPE_STRING:
        if len(values) < count and count * 8 > MAX_REPEATED_BYTES:
            raise TensorError(f"{len(values)} values do not fill shape {list(shape)}")
        array = np.empty(count, dtype=object)
        array[:] = [*values, *[values[-1]] * (count - len(values))] if count else []
        return array.reshape(shape)
    # First in the field's own dtype: astype would truncate a value that does not fit, without an error.
    wide = np.array(values)
    array = wide.astype(np.uint16 if dtype is np.float16 else dtype)
    if array.dtype.kind in "iu" and (array != wide).any():
        raise TensorError(f"a value does not fit {np.dtype(dtype)}")
    if dtype is np.float16:
        array = array.view(np.float16)  # half_val holds bit patterns
    if len(array) < count and count * array.itemsize > MAX_REPEATED_BYTES:
        raise TensorError(f"{len(values)} values do not fill shape {list(shape)}")
    return np.pad(array, (0, count - len(array)), mode="edge").reshape(shape) if count else array.reshape(shape)
