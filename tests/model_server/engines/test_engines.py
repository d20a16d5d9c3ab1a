"""Both engines on the same SavedModels: their predictions and their refusals are the same."""

import logging
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from portable_model_server.engines.base import EngineError, InvalidInputError, Threads, UnsupportedError
from portable_model_server.engines.choice import create_engine
from portable_model_server.engines.saved_model import SavedModelError
from serving_api.messages import SavedModel
from tests.model_server.savedmodels import CARD, SIZE, image_model, random_images, save, signature, v1
from tests.processes import ROOT

NAMES = ("openvino", "tensorflow")
THREADS = Threads(cpus=2)
OUTPUTS = ["probabilities", "out_of_distribution", "activation_maps"]


@pytest.fixture(scope="module")
def engines():
    return {name: create_engine(name, THREADS) for name in NAMES}


@pytest.fixture(scope="module")
def image_path(tmp_path_factory):
    return image_model(tmp_path_factory.mktemp("model") / "1")


@pytest.fixture(scope="module")
def models(engines, image_path):
    loaded = {name: engine.load(image_path) for name, engine in engines.items()}
    yield loaded
    for model in loaded.values():
        model.close()


@pytest.fixture(params=NAMES)
def model(request, models):
    return models[request.param]


@pytest.fixture(params=NAMES)
def engine(request, engines):
    return engines[request.param]


def classify(model, images, outputs=OUTPUTS):
    return model.predict("serving_default", {"images": images}, outputs)


@pytest.mark.parametrize("batch", [1, 3])
def test_predictions_are_alike(models, batch):
    ours, reference = (classify(models[name], random_images(batch)) for name in NAMES)
    assert reference["activation_maps"].shape == (batch, SIZE // 2, SIZE // 2, 4)
    assert np.ptp(reference["probabilities"]) > 0.1, "equal probabilities would prove nothing"
    for alias in OUTPUTS:
        assert ours[alias].dtype == reference[alias].dtype == np.float32
        np.testing.assert_allclose(ours[alias], reference[alias], rtol=0, atol=1e-4)


def test_signatures_are_alike(models):
    assert models["openvino"].signatures == models["tensorflow"].signatures
    assert set(models["openvino"].signatures) == {"serving_default", "describe"}
    assert [models[name].engine for name in NAMES] == list(NAMES)


@pytest.mark.parametrize("shape", [(1,), (3,), (0,), (2, 2), ()])
def test_each_query_gets_the_card_from_both(model, shape):
    """OpenVINO cannot compile strings. TensorFlow's session does not compare the shape with the declared one."""
    card = model.predict("describe", {"queries": np.full(shape, b"?", object)}, ["card"])["card"]
    assert card.shape == shape and card.dtype == object and set(card.ravel()) <= {CARD.encode()}


@pytest.mark.parametrize(
    "shape", [(1, 23, 24, 3), (1, 24, 48, 3), (2, 24, 24, 1), (1, 3, 24, 24), (24, 24, 3), (1, 1, 24, 24, 3), (24,), ()]
)
def test_a_wrong_shape_is_refused_alike(models, shape):
    messages = set()
    for model in models.values():
        with pytest.raises(InvalidInputError) as caught:
            classify(model, np.zeros(shape, np.uint8))
        messages.add(str(caught.value))
    given = ",".join(map(str, shape))
    assert messages == {f'input "images": expected shape [-1,24,24,3], got [{given}]'}


def test_an_empty_batch_is_refused_alike(models):
    for model in models.values():
        classify(model, random_images(2))  # outputs that must not come again
        with pytest.raises(InvalidInputError, match=r'input "images" is empty: its shape is \[0,24,24,3\]'):
            classify(model, random_images(0))


def test_no_rows_give_no_rows(tmp_path, engines):
    """Where the graph does not refuse them."""

    def build():
        x = _floats("x")
        return {"serving_default": signature({"x": x}, {"y": x * 2, "z": tf.argmax(x, 1, tf.int32)})}

    path = save(tmp_path / "1", build)
    for name in NAMES:
        outputs = engines[name].load(path).predict("serving_default", {"x": np.zeros((0, 3), "f")}, ["y", "z"])
        assert [outputs[alias].shape for alias in "yz"] == [(0, 3), (0,)]
        assert [outputs[alias].dtype for alias in "yz"] == [np.float32, np.int32]


def test_no_rows_for_an_output_without_rows(tmp_path, engines):
    """OpenVINO might return the sum of the batch before."""

    def build():
        x = _floats("x")
        return {"serving_default": signature({"x": x}, {"y": tf.reduce_sum(x)})}

    path = save(tmp_path / "1", build)
    inputs = {"x": np.zeros((0, 3), "f")}
    assert engines["tensorflow"].load(path).predict("serving_default", inputs, ["y"])["y"] == 0
    with pytest.raises(InvalidInputError, match=r'input "x" is empty: its shape is \[0,3\]'):
        engines["openvino"].load(path).predict("serving_default", inputs, ["y"])


def test_a_large_batch_predicts_what_its_images_do(model):
    images = random_images(64)
    together = classify(model, images)["probabilities"]
    alone = [classify(model, images[index : index + 1])["probabilities"] for index in (0, 31, 63)]
    np.testing.assert_allclose(together[[0, 31, 63]], np.concatenate(alone), atol=1e-5)


def test_only_the_outputs_asked_for(model):
    assert classify(model, random_images(1), ["out_of_distribution"]).keys() == {"out_of_distribution"}


def test_outputs_stay_when_the_next_ones_come(model):
    first = classify(model, random_images(1, seed=1))["activation_maps"]
    kept = first.copy()
    classify(model, random_images(1, seed=2))
    np.testing.assert_array_equal(first, kept)
    queries = {"queries": np.full(1, b"", object)}
    model.predict("describe", queries, ["card"])["card"][0] = b"scribbled over"
    assert model.predict("describe", queries, ["card"])["card"].item() == CARD.encode()


def test_pixels_of_any_memory_layout(model):
    images = random_images(2)
    expected = classify(model, images)["probabilities"]
    read_only = np.frombuffer(images.tobytes(), np.uint8).reshape(images.shape)
    for same in (read_only, np.asfortranarray(images), random_images(2)[::-1][::-1]):
        np.testing.assert_allclose(classify(model, same)["probabilities"], expected, atol=1e-6)


def test_many_callers_at_once_get_their_own_outputs(model):
    """Single images beside large batches, more callers than there are threads."""
    batches = [random_images(40 if number % 4 == 0 else 1, seed=number) for number in range(24)]
    expected = [classify(model, batch)["probabilities"] for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        actual = list(pool.map(lambda batch: classify(model, batch)["probabilities"], batches))
    for probabilities, right in zip(actual, expected, strict=True):
        np.testing.assert_allclose(probabilities, right, atol=1e-5)


# Graphs in which aliases, tensors and ports are easy to mix up.


def _floats(name, columns=3):
    return v1.placeholder(tf.float32, [None, columns], name=name)


def _crossed_names():
    x, z = _floats("x"), _floats("z")
    y, w = tf.identity(x * 2, name="y"), tf.identity(z * 3 + x, name="w")
    return {"serving_default": signature({"x": z, "z": x}, {"y": w, "w": y})}


def _two_aliases_of_one_tensor():
    x = _floats("x")
    y = x * 2
    return {"serving_default": signature({"x": x}, {"a": y, "b": y, "c": tf.identity(y)})}


def _input_as_output():
    x = _floats("x")
    return {"serving_default": signature({"x": x}, {"a": x * 2, "b": x})}


def _input_as_output_of_its_name():
    x = _floats("x")
    return {"serving_default": signature({"x": x}, {"y": x * 2, "x": x})}


def _alias_that_is_an_inner_node():
    x = _floats("x")
    return {"serving_default": signature({"x": x}, {"out": tf.multiply(x, 2, name="out") + 1})}


def _outputs_of_one_operation():
    x = _floats("x", 4)
    first, second = tf.split(x, 2, axis=1)
    values, indices = tf.math.top_k(x, 2)
    outputs = {"indices": indices, "second": second, "first": first, "values": values}
    return {"serving_default": signature({"x": x}, outputs)}


def _dtype_of_its_own():
    """The signature says float, as one of TensorFlow Serving's own test models does; the placeholder takes uint8."""
    x = v1.placeholder(tf.uint8, [None, 3], name="x")
    definition = signature({"x": x}, {"y": tf.cast(x, tf.float32) + 1})
    definition.inputs["x"].dtype = tf.float32.as_datatype_enum
    return {"serving_default": definition}


def _unused_input():
    x, z = _floats("x"), _floats("z")
    return {"serving_default": signature({"x": x, "z": z}, {"y": x + 1})}


def _constants_beside_numbers():
    x = _floats("x")
    outputs = {"y": x + 1, "names": tf.constant(["a", "b"]), "sizes": tf.constant([1, 2, 3])}
    return {"serving_default": signature({"x": x}, outputs)}


def _constants_for_each_row():
    x = _floats("x")
    return {"serving_default": signature({"x": x}, {"y": x + 1, "sevens": tf.fill(tf.shape(tf.identity(x)), 7.5)})}


def _input_name_for_another_output():
    """OpenVINO gives the port of one output the name of the other."""
    x = _floats("x")
    return {"serving_default": signature({"x": x}, {"x": x * 2, "b": x})}


def _computed_second_signature():
    x = _floats("x")
    return {"serving_default": signature({"x": x}, {"y": x * 2}), "other": signature({"x": x}, {"y": x * 3})}


def _signatures_that_share():
    """Both need the weights; one feeds a tensor within the graph of the other."""
    x = _floats("x")
    weights = tf.constant(np.arange(9, dtype=np.float32).reshape(3, 3))
    features = tf.identity(x @ weights, name="features")
    signatures = {
        "serving_default": signature({"x": x}, {"y": tf.reduce_sum(features * 2, 1)}),
        "features": signature({"x": x}, {"features": features}),
        "from_features": signature({"features": features}, {"y": tf.reduce_sum(features * 2, 1), "x": features + 1}),
        "named": signature({"x": x}, {"name": tf.constant("model"), "y": x - 1}),
    }
    return signatures


def _no_default_signature():
    x = _floats("x")
    return {"other": signature({"x": x}, {"y": x * 3})}


def _strings():
    x = v1.placeholder(tf.string, [None], name="x")
    return {"serving_default": signature({"x": x}, {"y": tf.strings.join([x, "!"]), "n": tf.strings.length(x)})}


def _wide_integers():
    x = v1.placeholder(tf.int64, [None], name="x")
    return {"serving_default": signature({"x": x}, {"y": x + 1})}


def _brain_floats():
    x = v1.placeholder(tf.bfloat16, [None], name="x")
    return {"serving_default": signature({"x": x}, {"y": tf.cast(x + 1, tf.float32)})}


def _complex_numbers():
    x = _floats("x")
    return {"serving_default": signature({"x": x}, {"y": tf.complex(x, x)})}


def _unknown_rank():
    x = v1.placeholder(tf.float32, None, name="x")
    return {"serving_default": signature({"x": x}, {"y": x + 1})}


FOR_BOTH = [
    _crossed_names,
    _two_aliases_of_one_tensor,
    _input_as_output,
    _input_as_output_of_its_name,
    _alias_that_is_an_inner_node,
    _outputs_of_one_operation,
    _dtype_of_its_own,
    _unused_input,
    _constants_beside_numbers,
    _constants_for_each_row,
    _computed_second_signature,
    _signatures_that_share,
    _no_default_signature,
]
FOR_TENSORFLOW = {
    _input_name_for_another_output: "names do not tell",
    _strings: "cannot compile",
    _wide_integers: 'int64 input "x"',
    _unknown_rank: "cannot compile",
}
VALUES = {
    1: np.float32([[5, 1, 4, 3], [2, 8, 7, 6]]),
    4: np.uint8([[5, 1, 4], [2, 8, 7]]),
    7: np.array([b"a", b"bcd"], dtype=object),
    9: np.array([2**40, -(2**33)]),
}


def predict_all(model):
    """A model's outputs for inputs that differ from one another, by signature and alias."""
    outputs = {}
    for name, declared in model.signatures.items():
        if name == "__saved_model_init_op":
            continue
        inputs = {}
        for number, (alias, info) in enumerate(sorted(declared.inputs.items())):
            values = VALUES[info.dtype]
            inputs[alias] = (values + number)[:, : (info.shape or [4])[-1]] if info.dtype == 1 else values
        for alias, array in model.predict(name, inputs, list(declared.outputs)).items():
            outputs[name, alias] = array.tolist()
    return outputs


@pytest.mark.parametrize("build", FOR_BOTH)
def test_every_tensor_finds_its_port(tmp_path, engines, build):
    path = save(tmp_path / "1", build)
    ours, reference = (predict_all(engines[name].load(path)) for name in NAMES)
    assert ours == reference and ours


@pytest.fixture(scope="module")
def tf2_path(tmp_path_factory):
    """A SavedModel with variables and functions, as tf.saved_model.save writes it."""

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.weights = tf.Variable(np.arange(6, dtype=np.float32).reshape(3, 2))

        @tf.function(
            input_signature=[tf.TensorSpec([None, 3], tf.float32, "a"), tf.TensorSpec([None, 2], tf.float32, "b")]
        )
        def compute(self, a, b):
            y = a @ self.weights
            return {"sum": y + b, "product": y * b, "given": b}

        @tf.function(input_signature=[])
        def name(self):
            return {"name": tf.constant("model")}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "queries")])
        def describe(self, queries):
            return {"card": tf.fill(tf.shape(queries), CARD)}

    path = tmp_path_factory.mktemp("tf2") / "1"
    module = Model()
    signatures = {"serving_default": module.compute, "name": module.name, "describe": module.describe}
    tf.saved_model.save(module, str(path), signatures)
    return path


def test_variables_and_functions(tf2_path, engines):
    ours, reference = (predict_all(engines[name].load(tf2_path)) for name in NAMES)
    assert ours == reference
    assert ours["name", "name"] == b"model"
    assert ours["describe", "card"] == [CARD.encode()] * 2


def test_inputs_that_do_not_go_together(tf2_path, engine):
    model = engine.load(tf2_path)
    with pytest.raises(InvalidInputError, match="5") as caught:
        model.predict("serving_default", {"a": np.ones((3, 3), "f"), "b": np.ones((5, 2), "f")}, ["sum"])
    assert "\n" not in str(caught.value) and "/" not in str(caught.value), "a stack is of no use to the caller"


@pytest.mark.parametrize(("build", "reason"), FOR_TENSORFLOW.items())
def test_tensorflow_takes_what_openvino_cannot_run(tmp_path, engines, build, reason, caplog):
    path = save(tmp_path / "1", build)
    with pytest.raises(EngineError, match=reason):
        engines["openvino"].load(path)
    with caplog.at_level(logging.WARNING, "portable_model_server"):
        model = create_engine(None, THREADS).load(path)
    assert model.engine == "tensorflow"
    (warning,) = [record.getMessage() for record in caplog.records if record.name.startswith("portable_model_server")]
    assert str(path) in warning and reason in warning
    assert predict_all(model) == predict_all(engines["tensorflow"].load(path))


def _strings_beside_numbers():
    x, text = _floats("x"), v1.placeholder(tf.string, [None], name="text")
    return {
        "serving_default": signature({"x": x}, {"y": x * 2}),
        "lengths": signature({"text": text}, {"lengths": tf.strings.length(text)}),
        "tripled": signature({"x": x}, {"y": x * 3}),
    }


def test_what_openvino_can_compute_of_a_model(tmp_path, engines, caplog):
    """On its own it serves that; where TensorFlow is installed, TensorFlow serves the whole model."""
    path = save(tmp_path / "1", _strings_beside_numbers)
    assert create_engine(None, THREADS).load(path).engine == "tensorflow"
    with caplog.at_level(logging.WARNING, "portable_model_server"):
        model = engines["openvino"].load(path)
    assert "calls of the signature lengths of the model in" in caplog.records[-1].getMessage()
    assert set(model.signatures) == {"serving_default", "lengths", "tripled"}
    for name, factor in (("serving_default", 2), ("tripled", 3)):
        y = model.predict(name, {"x": VALUES[1][:, :3]}, ["y"])["y"]
        np.testing.assert_array_equal(y, VALUES[1][:, :3] * factor)
    with pytest.raises(UnsupportedError, match='the signature "lengths" cannot be computed by this server without'):
        model.predict("lengths", {"text": VALUES[7]}, ["lengths"])
    model.close()


def test_a_signature_for_which_there_is_no_room(tmp_path, engines, monkeypatch):
    path = save(tmp_path / "1", _no_default_signature)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(EngineError, match='the signature "other" needs room in the temporary folder: No such file'):
        engines["openvino"].load(path)


@pytest.mark.parametrize(("build", "alias"), [(_brain_floats, "x"), (_complex_numbers, "y")])
def test_only_tensorflow_loads_dtypes_that_no_message_here_holds(tmp_path, engines, build, alias):
    """Its other signatures and outputs can be called."""
    path = save(tmp_path / "1", build)
    with pytest.raises(EngineError, match=f'does not know the dtype of "{alias}"'):
        engines["openvino"].load(path)
    model = create_engine(None, THREADS).load(path)
    assert model.engine == "tensorflow"
    model.close()


def test_an_input_that_is_an_output_comes_alone_too(tmp_path, engine):
    model = engine.load(save(tmp_path / "1", _input_as_output))
    given = np.float32([[5, 1, 4]])
    returned = model.predict("serving_default", {"x": given}, ["b"])["b"]
    assert returned.tolist() == given.tolist()
    assert not np.shares_memory(returned, given), "the caller owns it"


def test_a_failure_keeps_tensorflow_s_status(tmp_path, engines):
    def build():
        x = _floats("x")
        nowhere = tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[])
        return {
            "serving_default": signature(
                {"x": x}, {"y": x + tf.raw_ops.ReadVariableOp(resource=nowhere, dtype=x.dtype)}
            )
        }

    model = engines["tensorflow"].load(save(tmp_path / "1", build))
    with pytest.raises(EngineError, match="TensorFlow failed to compute: Could not find variable") as caught:
        model.predict("serving_default", {"x": VALUES[1]}, ["y"])
    assert caught.value.code == 9, "FAILED_PRECONDITION"


def test_a_tensor_name_that_no_graph_has(tmp_path, engines):
    path = save(tmp_path / "1", _input_as_output)
    message = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    message.meta_graphs[0].signature_def["serving_default"].outputs["a"].name = "a:b:0"
    (path / "saved_model.pb").write_bytes(message.SerializeToString())
    with pytest.raises(EngineError, match='the graph has no tensor "a:b:0", which is "a" of the signature'):
        engines["tensorflow"].load(path)


def test_an_input_that_no_graph_has_though_an_output_has_its_alias(tmp_path, engines):
    path = save(tmp_path / "1", _input_as_output_of_its_name)
    message = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    message.meta_graphs[0].signature_def["serving_default"].inputs["x"].name = "nowhere:0"
    (path / "saved_model.pb").write_bytes(message.SerializeToString())
    with pytest.raises(EngineError, match='the graph has no tensor "nowhere:0", which is "x" of the signature'):
        engines["tensorflow"].load(path)


def test_wide_integers_keep_their_width(tmp_path):
    model = create_engine(None, THREADS).load(save(tmp_path / "1", _wide_integers))
    assert model.predict("serving_default", {"x": VALUES[9]}, ["y"])["y"].tolist() == [2**40 + 1, 1 - 2**33]


def test_the_default_engine_is_openvino(image_path, caplog):
    with caplog.at_level(logging.WARNING, "portable_model_server"):
        assert create_engine(None, THREADS).load(image_path).engine == "openvino"
    assert not caplog.records


def test_a_tensor_within_the_graph_is_fed_in_any_shape(tmp_path, engines):
    """TensorFlow Serving's own tests send [1] to an input of which the signature says that it is a scalar."""

    def build():
        x = _floats("x")
        inner = tf.identity(x + 1, name="inner")
        definition = signature({"inner": inner}, {"y": inner * 2})
        del definition.inputs["inner"].tensor_shape.dim[:]
        return {"serving_default": definition, "outer": signature({"x": x}, {"y": inner * 2})}

    model = engines["tensorflow"].load(save(tmp_path / "1", build))
    assert model.predict("serving_default", {"inner": np.float32([3])}, ["y"])["y"].tolist() == [6]
    assert model.predict("outer", {"x": np.float32([[3, 4, 5]])}, ["y"])["y"].tolist() == [[8, 10, 12]]


def test_tensorflow_leaves_shapes_to_the_graph(tmp_path, engines):
    """As tensorflow/serving does; OpenVINO checks them, since it would compute with any shape."""
    path = save(tmp_path / "1", _unused_input)
    inputs = {"x": np.float32([1, 2]), "z": np.float32([3])}
    assert engines["tensorflow"].load(path).predict("serving_default", inputs, ["y"])["y"].tolist() == [2, 3]
    with pytest.raises(InvalidInputError, match=r'input "x": expected shape \[-1,3\], got \[2\]'):
        engines["openvino"].load(path).predict("serving_default", inputs, ["y"])


def _any_shape_of_small_values():
    """y takes every shape, though the signature declares one; total takes rows of three; neither takes a value of 5."""
    x = _floats("x")
    small = tf.reduce_all(tf.reshape(x, [-1]) < 5.0)
    with tf.control_dependencies([tf.raw_ops.Assert(condition=small, data=["a value is too large"])]):
        given = tf.identity(x)
    return {"serving_default": signature({"x": x}, {"y": given * 2, "total": given @ tf.ones([3, 1])})}


@pytest.fixture(scope="module")
def small_values(tmp_path_factory, engines):
    model = engines["tensorflow"].load(save(tmp_path_factory.mktemp("small") / "1", _any_shape_of_small_values))
    yield lambda x, output: model.predict("serving_default", {"x": np.float32(x)}, [output])[output].tolist()
    model.close()


def test_tensorflow_s_refusal_of_values_blames_no_shape(small_values):
    assert small_values([1, 2, 3], "y") == [2, 4, 6]
    for output, x in (("y", [1, 2, 9]), ("y", [[9]]), ("y", 9), ("total", [1, 2, 9]), ("total", [[1, 2, 3, 9]])):
        with pytest.raises(InvalidInputError, match=r"^assertion failed: \[a value is too large\]") as caught:
            small_values(x, output)
        assert "{{" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("x", "shape"), [([1, 2, 3], "3"), ([[1, 2]], "1,2"), ([[1, 2, 3, 4]] * 2, "2,4"), (1, "")])
def test_tensorflow_s_refusal_of_a_shape_names_it(small_values, x, shape):
    with pytest.raises(InvalidInputError, match=rf'^input "x": expected shape \[-1,3\], got \[{shape}\]$'):
        small_values(x, "total")


def test_finding_a_wrong_shape_takes_no_more_values_than_were_given(tmp_path, engines):
    """A million short rows beside one long row would be as many long rows."""

    def build():
        short, long = v1.placeholder(tf.float32, [None], name="short"), _floats("long", 100_000)
        return {"serving_default": signature({"short": short, "long": long}, {"y": long @ short[:, None]})}

    model = engines["tensorflow"].load(save(tmp_path / "1", build))
    inputs = {"short": np.ones(10**6, "f"), "long": np.ones((1, 7), "f")}
    with pytest.raises(InvalidInputError, match=r"^Matrix size-incompatible: In"):
        model.predict("serving_default", inputs, ["y"])


def test_tensorflow_s_refusal_is_no_longer_than_a_message_may_be(tmp_path, engines):
    def build():
        x = v1.placeholder(tf.string, [None], name="x")
        return {"serving_default": signature({"x": x}, {"y": tf.strings.to_number(x)})}

    model = engines["tensorflow"].load(save(tmp_path / "1", build))
    with pytest.raises(InvalidInputError, match=r"could not correctly convert string: a+\.\.\.$") as caught:
        model.predict("serving_default", {"x": np.array([b"1", b"a" * 9000], object)}, ["y"])
    assert len(str(caught.value)) < 2100


def test_no_saved_model(tmp_path, engine):
    with pytest.raises(SavedModelError, match=r"holds no saved_model\.pb"):
        engine.load(tmp_path)


def test_an_unknown_operation(tmp_path, engine):
    message = SavedModel()
    graph = message.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    graph.graph_def.node.add(name="y", op="NoSuchOperation")
    graph.signature_def["serving_default"].outputs["y"].name = "y:0"
    assert not graph.signature_def["serving_default"].outputs["y"].dtype, "the name says that it is a tensor"
    (tmp_path / "saved_model.pb").write_bytes(message.SerializeToString())
    with pytest.raises(EngineError, match="NoSuchOperation"):
        engine.load(tmp_path)


def test_an_unknown_engine():
    with pytest.raises(EngineError, match='unknown engine "caffe": choose openvino or tensorflow'):
        create_engine("caffe", THREADS)


def run_python(code, *arguments, home):
    """Run code in a fresh interpreter, without this one's imports, and return what it prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    result = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


WITHOUT_TENSORFLOW = """
import sys
from pathlib import Path
sys.modules["tensorflow"] = None  # as if it were not installed
from portable_model_server.engines.base import EngineError, Threads
from portable_model_server.engines.choice import create_engine
for name in ("tensorflow", None):
    try:
        create_engine(name, Threads(1)).load(Path(sys.argv[1]))
    except EngineError as error:
        print(error)
"""


def test_tensorflow_is_missing(tmp_path):
    by_name, fallback = run_python(WITHOUT_TENSORFLOW, save(tmp_path / "1", _strings), home=tmp_path).splitlines()
    assert "tensorflow is not installed: pip install tensorflow" in by_name
    assert "cannot compile" in fallback and "TensorFlow, which could run it, is not installed" in fallback


PARTLY_WITHOUT_TENSORFLOW = """
import sys
from pathlib import Path
import numpy as np
sys.modules["tensorflow"] = None  # as if it were not installed
from portable_model_server.engines.base import Threads, UnsupportedError
from portable_model_server.engines.choice import create_engine
model = create_engine(None, Threads(1)).load(Path(sys.argv[1]))
print(model.predict("tripled", {"x": np.ones((1, 3), np.float32)}, ["y"])["y"].tolist())
try:
    model.predict("lengths", {"text": np.array([b""], object)}, ["lengths"])
except UnsupportedError as error:
    print(error)
"""


def test_without_tensorflow_a_model_is_served_in_part(tmp_path):
    path = save(tmp_path / "1", _strings_beside_numbers)
    tripled, lengths = run_python(PARTLY_WITHOUT_TENSORFLOW, path, home=tmp_path).splitlines()
    assert tripled == "[[3.0, 3.0, 3.0]]"
    assert lengths.startswith('the signature "lengths" cannot be computed by this server without TensorFlow')


SHARE_OF_CPU = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from portable_model_server.engines.base import Threads
from portable_model_server.engines.choice import create_engine
model = create_engine(sys.argv[2], Threads(1)).load(Path(sys.argv[1]))
images = {"images": np.zeros((400, 24, 24, 3), np.uint8)}
predict = lambda _: model.predict("serving_default", images, ["probabilities"])
predict(0)
cpu, wall = time.process_time(), time.perf_counter()
with ThreadPoolExecutor(4) as pool:
    list(pool.map(predict, range(20)))
print((time.process_time() - cpu) / (time.perf_counter() - wall))
"""


@pytest.mark.parametrize("name", NAMES)
def test_four_callers_use_no_more_cpus_than_the_limit(tmp_path, image_path, name):
    assert float(run_python(SHARE_OF_CPU, image_path, name, home=tmp_path)) < 1.5


# Denies whatever could leave the process, and prints it at once: the telemetry starts threads and processes of its own,
# which may still run when the script has ended.
WATCH = """
import os, sys
def watch(event, arguments):
    if event in ("os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.system", "subprocess.Popen") or (
        event.startswith("socket.") and event != "socket.gethostname"
    ):
        os.write(1, f"{event}\\n".encode())
        seen.append(event)
        raise PermissionError(event)
seen = []
sys.addaudithook(watch)
"""
PREDICT = """
from pathlib import Path
import numpy as np
from portable_model_server.engines.base import Threads
from portable_model_server.engines.choice import create_engine
model = create_engine(None, Threads(1)).load(Path(sys.argv[1]))
model.predict("serving_default", {"images": np.zeros((1, 24, 24, 3), np.uint8)}, ["probabilities"])
model.close()
print(model.engine, [name for name in sys.modules if "telemetry" in name and sys.modules[name]])
print("tensorflow" in sys.modules)
"""


def test_openvino_reports_to_nobody(tmp_path, image_path):
    assert run_python(WATCH + PREDICT, image_path, home=tmp_path).splitlines() == ["openvino []", "False"]
    assert not list(tmp_path.iterdir()), "its telemetry leaves an identifier in the home folder"


def test_openvino_by_itself_would_report(tmp_path):
    """In a thread, which from Python 3.12 on comes too late if the process ends at once."""
    wait = "import openvino, time\nend = time.monotonic() + 60\n"
    wait += "while not seen and time.monotonic() < end: time.sleep(0.01)"
    assert "os.fork" in run_python(WATCH + wait, home=tmp_path)


def _large_constants():
    x = v1.placeholder(tf.float32, [None, 1000], name="x")
    weights = np.random.default_rng(0).uniform(-1, 1, (1000, 1000)).astype(np.float32)
    return {"serving_default": signature({"x": x}, {"y": tf.identity(x @ tf.constant(weights))})}


def test_constants_that_openvino_has_packed_take_no_memory(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    model = create_engine("openvino", THREADS).load(save(tmp_path / "1", _large_constants))
    assert not list(scratch.iterdir()), "the file is gone once it is mapped"
    x = np.ones((1, 1000), np.float32)
    first = model.predict("serving_default", {"x": x}, ["y"])["y"]
    maps = Path("/proc/self/smaps").read_text().partition(f"{scratch}/")[2].splitlines()
    assert maps, "the constants are mapped"
    assert next(line for line in maps if line.startswith("Rss:")).split()[1] == "0"
    np.testing.assert_array_equal(model.predict("serving_default", {"x": x}, ["y"])["y"], first)
    model.close()


def test_without_a_place_for_files_openvino_keeps_constants_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    model = create_engine("openvino", THREADS).load(save(tmp_path / "1", _large_constants))
    assert model.predict("serving_default", {"x": np.ones((2, 1000), np.float32)}, ["y"])["y"].shape == (2, 1000)
    model.close()


def _one_row():
    x = v1.placeholder(tf.float32, [1, 2], name="x")
    return {"serving_default": signature({"x": x}, {"y": x + 1})}


@pytest.mark.parametrize(
    ("threads", "number"),
    [(Threads(1), 1), (Threads(2), 2), (Threads(2, intra_op=1, inter_op=2), 2), (Threads(2, 1, 1), 1)],
    ids=["one CPU", "two CPUs", "the Deployment's flags", "one thread"],
)
def test_openvino_divides_a_prediction_if_it_is_long_and_takes_batches(
    tmp_path, image_path, monkeypatch, threads, number
):
    one_row = save(tmp_path / "1", _one_row)
    for path, worth_dividing_s, streams in ((image_path, 0, 1), (image_path, 10, number), (one_row, 0, number)):
        monkeypatch.setattr("portable_model_server.engines.openvino._WORTH_DIVIDING_S", worth_dividing_s)
        model = create_engine("openvino", threads).load(path)
        assert (model.streams, model.paying_rows) == (streams, max(2, number))
        assert model._graphs["serving_default"]._compiled.get_property("INFERENCE_NUM_THREADS") == number
        model.close()


def test_a_batch_on_openvino_is_bit_for_bit_what_its_images_are(models):
    images = random_images(4)
    together = classify(models["openvino"], images)
    for index in range(4):
        alone = classify(models["openvino"], images[index : index + 1])
        for alias in OUTPUTS:
            np.testing.assert_array_equal(alone[alias][0], together[alias][index])
