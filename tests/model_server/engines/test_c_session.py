"""What TensorFlow's own C session does, which TensorFlow Serving runs too, and that both engines do the same."""

import numpy as np
import pytest
import tensorflow as tf

from portable_model_server.engines.base import InvalidInputError, Threads
from portable_model_server.engines.c_api import INVALID_ARGUMENT, Session, TensorFlowError
from portable_model_server.engines.choice import create_engine
from portable_model_server.engines.saved_model import SERVE_TAG
from tests.model_server.savedmodels import save, signature, v1

CALLS = {
    "one": ([1, 2], "uint8", "y"),
    "none": ([0, 2], "uint8", "y"),
    "float": ([1, 2], "float32", "y"),
    "guarded": ([1, 2], "uint8", "guarded"),
    "none guarded": ([0, 2], "uint8", "guarded"),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Images of which the signature says that they are float, though the placeholder takes uint8.

    y (batch,), and guarded (batch,), which no empty batch may reach.
    """

    def build():
        images = v1.placeholder(tf.uint8, [None, 2], name="images")
        y = tf.reduce_sum(tf.cast(images, tf.float32), 1, name="y")
        some = tf.raw_ops.Assert(condition=tf.shape(images)[0] > 0, data=["no image"])
        with tf.control_dependencies([some]):
            guarded = tf.identity(y, name="guarded")
        definitions = {
            "serving_default": signature({"images": images}, {"y": y}),
            "guarded": signature({"images": images}, {"guarded": guarded}),
        }
        for name in ("serving_default", "guarded"):
            definitions[name].inputs["images"].dtype = tf.float32.as_datatype_enum
        return definitions

    return save(tmp_path_factory.mktemp("c_session") / "1", build)


@pytest.fixture(scope="module")
def session(path):
    """What the C session returns for each call: the output, or the code and the message of a refusal."""
    loaded = Session(path, SERVE_TAG, 1, 1)

    def outcome(shape, dtype, output):
        try:
            return loaded.run({"images": np.ones(shape, dtype)}, [output])[0].tolist()
        except TensorFlowError as error:
            return [error.code, str(error)]

    yield {name: outcome(*call) for name, call in CALLS.items()}
    loaded.close()


@pytest.fixture(scope="module", params=["openvino", "tensorflow"])
def model(request, path):
    model = create_engine(request.param, Threads(1)).load(path)
    yield model
    model.close()


def test_an_input_has_the_dtype_of_its_placeholder(session, model):
    assert session["one"] == [2]
    assert session["float"][0] == INVALID_ARGUMENT
    assert "Expects arg[0] to be uint8 but float is provided" in session["float"][1]
    assert model.signatures["serving_default"].inputs["images"].dtype == tf.uint8.as_datatype_enum
    assert model.predict("serving_default", {"images": np.ones((1, 2), np.uint8)}, ["y"])["y"].tolist() == [2]


def test_an_assertion_decides_about_an_empty_batch(session, model):
    assert session["guarded"] == [2]
    assert session["none guarded"][0] == INVALID_ARGUMENT
    assert "no image" in session["none guarded"][1]
    with pytest.raises(InvalidInputError, match="is empty"):
        model.predict("guarded", {"images": np.ones((0, 2), np.uint8)}, ["guarded"])


def test_an_empty_batch_that_nothing_refuses(session, model):
    """OpenVINO does not know which outputs an assertion guards: it refuses for all of a graph."""
    assert session["none"] == []
    images = {"images": np.ones((0, 2), np.uint8)}
    if model.engine == "tensorflow":
        assert model.predict("serving_default", images, ["y"])["y"].shape == (0,)
    else:
        with pytest.raises(InvalidInputError, match="is empty"):
            model.predict("serving_default", images, ["y"])
