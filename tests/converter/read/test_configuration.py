"""A configuration may name Keras' own classes and its functions that compute, and nothing else of any module."""

import pytest

from converter.errors import ConversionError
from converter.read.configuration import check


def dense(activation):
    return {"class_name": "Dense", "module": "keras.layers", "config": {"activation": activation}}


def function(name, module):
    return dense({"class_name": "function", "module": module, "config": name, "registered_name": name})


@pytest.mark.parametrize(
    "config, message",
    [
        (function("get_file", "keras.utils"), "holds a custom layer or function, get_file"),
        (function("system", "os"), "holds a custom layer or function, system"),
        (dense({"class_name": "get_file", "module": "keras.utils"}), "custom layer or function, get_file"),
        (dense({"class_name": "shutil.rmtree", "module": "keras.src.utils.data_utils"}), "function, shutil.rmtree"),
        (dense({"class_name": "__lambda__", "config": [1]}), "holds a Lambda layer"),
        (dense({"class_name": "Mine", "registered_name": "x>Lambda"}), "holds a Lambda layer"),
        (dense({"class_name": "TFSMLayer", "module": "keras.layers"}), "TFSMLayer layer, which reads other files"),
        (dense({"class_name": ["Dense"], "module": "keras.layers"}), "custom layer"),
    ],
)
def test_what_is_refused(config, message):
    with pytest.raises(ConversionError, match=message):
        check(config)


def test_what_is_taken():
    check(dense("relu"))
    check(function("gelu", "keras.activations"))
    check(function("relu", "builtins"))
