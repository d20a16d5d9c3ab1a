import tracemalloc

import numpy as np
import pytest

from serving_api.messages import TensorProto
from serving_api.tensors import DTYPES, TensorError, from_array, to_array

NUMERIC = {number: dtype for number, (dtype, _) in DTYPES.items() if dtype is not np.bytes_}


def proto(dtype: int = 1, shape: tuple[int, ...] = (2,), **fields: object):
    message = TensorProto(dtype=dtype, **fields)
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    return message


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 3), (1, 2, 2, 3)])
@pytest.mark.parametrize("number", NUMERIC)
def test_numbers_survive(number, shape, typed):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(NUMERIC[number])
    back = to_array(from_array(array, typed_fields=typed))
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("number", NUMERIC)
def test_extremes_survive_in_typed_fields(number):
    dtype = np.dtype(NUMERIC[number])
    if dtype.kind == "f":
        info = np.finfo(dtype)
        values = [info.min, info.max, np.nan, np.inf, -0.0]
    elif dtype.kind == "b":
        values = [True, False]
    else:
        values = [np.iinfo(dtype).min, np.iinfo(dtype).max]
    array = np.array(values, dtype)
    np.testing.assert_array_equal(to_array(from_array(array, typed_fields=True)), array)


@pytest.mark.parametrize("shape", [(), (2,), (1, 2), (0,)])
def test_strings_survive(shape):
    count = int(np.prod(shape, dtype=int))
    array = np.empty(count, object)
    array[:] = [b"\xff\0binary", b""][:count]
    array = array.reshape(shape)
    back = to_array(from_array(array))
    assert back.dtype == object
    assert back.shape == shape
    assert back.tolist() == array.tolist()


def test_an_array_that_is_not_contiguous():
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4).transpose(2, 0, 1)
    np.testing.assert_array_equal(to_array(from_array(array)), array)


def test_a_typed_field_repeats_its_last_value():
    np.testing.assert_array_equal(to_array(proto(shape=(2, 2), float_val=[1.0, 2.0])), [[1, 2], [2, 2]])
    strings = to_array(proto(7, (3,), string_val=[b"a"]))
    assert strings.tolist() == [b"a", b"a", b"a"]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (proto(0), "dtype 0"),
        (proto(8), "dtype 8"),  # complex64
        (proto(14), "dtype 14"),  # bfloat16
        (proto(shape=(-1,)), "not fully known"),
        (proto(shape=(2,)), "do not fill"),
        (proto(shape=(1,), float_val=[1, 2]), "do not fill"),
        (proto(shape=(0,), float_val=[1]), "do not fill"),
        (proto(shape=(2,), tensor_content=b"1234567"), "7 bytes"),
        (proto(shape=(0,), tensor_content=b"1234"), "4 bytes"),
        (proto(shape=(2**50, 4), tensor_content=b"1234"), "4 bytes"),
        (proto(shape=(2**62, 4), tensor_content=b"1234"), "larger than any memory"),
        (proto(shape=(0, 2**62)), "larger than any memory"),
        (proto(4, (1,), int_val=[256]), "uint8"),
        (proto(4, (1,), int_val=[-1]), "uint8"),
        (proto(6, (1,), int_val=[200]), "int8"),
        (proto(19, (1,), half_val=[70_000]), "float16"),
        (proto(shape=(2**63 - 1,) * 20_000, float_val=[1.0]), "more than 64 dimensions"),
        (proto(shape=(1,) * 65, float_val=[1.0]), "more than 64 dimensions"),
        (proto(4, (1300, 128, 128, 3), int_val=[5]), "do not fill"),
        (proto(shape=(2**40,), float_val=[1.0]), "do not fill"),
        (proto(7, (2**40,), string_val=[b"a"]), "do not fill"),
        (proto(4, (2**62, 2**62), int_val=[1]), "larger than any memory"),
    ],
)
def test_a_proto_that_holds_no_tensor(message, text):
    with pytest.raises(TensorError, match=text):
        to_array(message)


def test_unknown_rank():
    message = TensorProto(dtype=1, float_val=[1.0])
    message.tensor_shape.unknown_rank = True
    with pytest.raises(TensorError, match="not fully known"):
        to_array(message)


def test_a_large_shape_of_few_values_takes_no_memory():
    tracemalloc.start()
    try:
        with pytest.raises(TensorError):
            to_array(proto(shape=(1 << 28,), float_val=[1.0]))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("array", [np.zeros(2, complex), np.zeros(2, "datetime64[s]"), np.array(["text"])])
def test_an_array_without_a_counterpart(array):
    with pytest.raises(TensorError):
        from_array(array)
