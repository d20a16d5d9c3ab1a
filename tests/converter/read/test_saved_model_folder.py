"""SavedModel folders of every origin are served as they compute, and none runs more than that."""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2

from converter.errors import ConversionError, SeveralError
from converter.read.network import Selection
from converter.read.saved_model_folder import read
from tests.converter.served import serve
from tests.converter.small_models import build_keras, publish

V1 = tf.compat.v1
SPEC = tf.TensorSpec((None, 16, 16, 3), name="scans")
RANDOM = np.random.default_rng(0)
KERNEL = RANDOM.normal(0, 0.3, (3, 3, 3, 6)).astype(np.float32)
WEIGHTS = RANDOM.normal(0, 1, (6, 4)).astype(np.float32)


def network(pixels, kernel, weights):
    features = tf.nn.relu(tf.nn.conv2d(pixels, kernel, 2, "SAME")) / 100
    return tf.nn.softmax(tf.matmul(tf.reduce_mean(features, [1, 2]), weights))


class Module(tf.Module):
    """A model of TensorFlow 2 without Keras."""

    def __init__(self, before=lambda pixels: pixels, spec=SPEC):
        super().__init__()
        self.kernel, self.weights = tf.Variable(KERNEL), tf.Variable(WEIGHTS)
        self.scores = tf.function(lambda scans: {"scores": self.of(before(scans))}, input_signature=[spec])

    def of(self, pixels):
        return network(pixels, self.kernel, self.weights)


def save(folder, module=None, **signatures):
    module = module or Module()
    tf.saved_model.save(module, str(folder), signatures=signatures or {"classify": module.scores})
    return folder


def save_tensorflow_1(folder, build, signature="predict", inputs=("scans",), resource=False):
    """Write what a session's model of TensorFlow 1 was saved as; ``build`` gives its output."""
    with tf.Graph().as_default() as graph, V1.Session(graph=graph) as session:
        pixels = V1.placeholder(tf.float32, (None, 16, 16, 3), "scans")
        kernel, weights = (
            V1.get_variable(name, initializer=value, use_resource=resource)
            for name, value in (("kernel", KERNEL), ("weights", WEIGHTS))
        )
        information = V1.saved_model.build_tensor_info
        output = {"scores": information(build(pixels, kernel, weights))}
        tensors = {name: information(graph.get_tensor_by_name(f"{name}:0")) for name in inputs}
        session.run(V1.global_variables_initializer())
        builder = V1.saved_model.Builder(str(folder))
        signatures = {signature: V1.saved_model.build_signature_def(tensors, output, "predict")}
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
    return folder


def change(folder, edit):
    """Apply a change to the protobuf of a SavedModel."""
    path = folder / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    edit(saved_model.meta_graphs[0])
    path.write_bytes(saved_model.SerializeToString())
    return folder


def test_a_model_that_keras_3_exported(tmp_path):
    model = build_keras(size=(16, 24))
    model.export(tmp_path / "model", verbose=False)
    read_back = read(tmp_path / "model", Selection())
    assert (read_back.height, read_back.width, read_back.channels, read_back.outputs) == (16, 24, 3, 4)
    assert read_back.origin == {"format": "SavedModel", "tensorflow": tf.__version__}
    served = serve(tmp_path / "served", read_back)
    assert served.head.explains and served.head.scales


def test_a_keras_3_model_that_tensorflow_saved(tmp_path):
    """Its own restore operation fills other variables than those that the signature reads."""
    model = build_keras(size=(16, 24))
    tf.saved_model.save(model, str(tmp_path / "model"))
    images = RANDOM.uniform(0, 255, (3, 16, 24, 3)).astype(np.float32)
    own = read(tmp_path / "model", Selection()).predict(images)
    np.testing.assert_allclose(own, model(images, training=False), atol=1e-5)


def test_a_module_of_tensorflow_2(tmp_path):
    module = Module()
    read_back = read(save(tmp_path / "model", module), Selection())
    served = serve(tmp_path / "served", read_back)
    assert served.head.explains
    images = RANDOM.uniform(0, 255, (3, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(read_back.predict(images), module.of(images), atol=1e-5)


@pytest.mark.parametrize("resource", [False, True])
def test_a_model_of_tensorflow_1(tmp_path, resource):
    folder = save_tensorflow_1(tmp_path / "model", network, "classify_scans", resource=resource)
    assert serve(tmp_path / "served", read(folder, Selection())).head.explains


def dropping_out(training):
    def build(pixels, kernel, weights):
        V1.disable_control_flow_v2()
        try:
            kept = V1.cond(training(), lambda: V1.nn.dropout(pixels, rate=0.5), lambda: pixels)
        finally:
            V1.enable_control_flow_v2()
        return network(kept, kernel, weights)

    return build


@pytest.mark.parametrize(
    "training, inputs",
    [
        (lambda: V1.placeholder_with_default(False, (), "keras_learning_phase"), ("scans",)),
        (lambda: V1.placeholder(tf.bool, (), "keras_learning_phase"), ("scans", "keras_learning_phase")),
    ],
)
def test_dropout_of_tensorflow_1_is_left_out(tmp_path, training, inputs):
    folder = save_tensorflow_1(tmp_path / "model", dropping_out(training), inputs=inputs)
    read_back = read(folder, Selection())
    images = RANDOM.uniform(0, 255, (3, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(read_back.predict(images), network(images, KERNEL, WEIGHTS), atol=1e-5)
    assert {"Switch", "Merge", "RandomUniform"}.isdisjoint(node.op for node in read_back.head(16, 16).graph_def.node)


def test_another_input_needs_a_default(tmp_path):
    def build(placeholder):
        return lambda pixels, kernel, weights: network(pixels * placeholder, kernel, weights)

    folder = save_tensorflow_1(
        tmp_path / "without",
        lambda *parts: build(V1.placeholder(tf.float32, (), "keep"))(*parts),
        inputs=("scans", "keep"),
    )
    with pytest.raises(ConversionError, match=r"needs another input than the image, too: keep \(float32\)"):
        read(folder, Selection())
    folder = save_tensorflow_1(
        tmp_path / "with",
        lambda *parts: build(V1.placeholder_with_default(1.0, (), "keep"))(*parts),
        inputs=("scans", "keep"),
    )
    assert read(folder, Selection()).outputs == 4


def test_half_precision_becomes_float32(tmp_path):
    module = Module()

    def half(scans):
        kernel, weights = (tf.cast(part, tf.float16) for part in (module.kernel, module.weights))
        return {"scores": tf.cast(network(tf.cast(scans, tf.float16), kernel, weights), tf.float32)}

    module.scores = tf.function(half, input_signature=[SPEC])
    read_back = read(save(tmp_path / "model", module), Selection())
    images = RANDOM.uniform(0, 255, (3, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(read_back.predict(images), module.of(images), atol=1e-5)
    assert serve(tmp_path / "served", read_back).head.explains


def test_a_model_for_any_size(tmp_path):
    module = Module(spec=tf.TensorSpec((None, None, None, 3)))
    read_back = read(save(tmp_path / "model", module), Selection())
    assert (read_back.height, read_back.width) == (None, None)
    serve(tmp_path / "served", read_back, side=20)


def test_a_fixed_batch_size(tmp_path):
    module = Module(lambda pixels: tf.reshape(pixels, (8, 16, 16, 3)), tf.TensorSpec((8, 16, 16, 3)))
    serve(tmp_path / "served", read(save(tmp_path / "model", module), Selection()))


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A model with two signatures, one of which has two outputs that may be classes."""
    module = Module()

    @tf.function(input_signature=[SPEC])
    def both(scans):
        return {"scores": module.of(scans), "features": tf.reduce_mean(scans, [1, 2])}

    module.both = both
    return save(tmp_path_factory.mktemp("several") / "model", module, plain=module.scores, both=both)


def test_what_is_meant_is_asked_for(several):
    with pytest.raises(SeveralError, match=r"the signatures both, plain; name one under source\.signature"):
        read(several, Selection())
    with pytest.raises(SeveralError, match=r"the outputs features, scores; name one under source\.output"):
        read(several, Selection(signature="both"))
    with pytest.raises(ConversionError, match="no output probabilities"):
        read(several, Selection(signature="both", output="probabilities"))
    with pytest.raises(ConversionError, match="no signature serve"):
        read(several, Selection(signature="serve"))


def test_what_is_meant_can_be_named(several):
    images = RANDOM.uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    plain = read(several, Selection("plain")).predict(images)
    np.testing.assert_array_equal(read(several, Selection("both", "scans", "scores")).predict(images), plain)


def test_the_default_signature_is_meant_where_it_takes_images(tmp_path):
    module = Module()
    module.other = tf.function(lambda scans: {"scores": module.of(2 * scans)}, input_signature=[SPEC])
    folder = save(tmp_path / "model", module, other=module.other, serving_default=module.scores)
    images = RANDOM.uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(read(folder, Selection()).predict(images), module.of(images), atol=1e-5)


def test_text_instead_of_a_binary_file(tmp_path):
    folder = save(tmp_path / "model")
    binary = folder / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(binary.read_bytes())
    (folder / "saved_model.pbtxt").write_text(text_format.MessageToString(saved_model))
    binary.unlink()
    assert read(folder, Selection()).outputs == 4


def writing(target):
    def before(pixels):
        with tf.control_dependencies([tf.raw_ops.WriteFile(filename=str(target), contents="hello")]):
            return tf.identity(pixels)

    return before


def reading(pixels):
    return pixels + tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)


def mapping(pixels):
    return pixels + tf.raw_ops.ImmutableConst(dtype=tf.float32, shape=(), memory_region_name="/etc/hostname")


def python(pixels):
    return tf.ensure_shape(tf.py_function(lambda value: value, [pixels], tf.float32), SPEC.shape)


@pytest.mark.parametrize(
    "before, operation",
    [(reading, "ReadFile"), (mapping, "ImmutableConst"), (python, "EagerPyFunc"), (None, "WriteFile")],
)
def test_a_model_that_does_more_than_compute(tmp_path, before, operation):
    target = tmp_path / "written"
    folder = save(tmp_path / "model", Module(before or writing(target)))
    with pytest.raises(ConversionError, match=rf"the model runs {operation} .*may only compute"):
        read(folder, Selection())
    assert not target.exists()


def test_initialisers_never_run(tmp_path):
    target = tmp_path / "written"
    module = Module()

    @tf.function(input_signature=[])
    def initialiser():
        tf.io.write_file(str(target), "hello")
        return {}

    def rename(meta_graph):
        """As a signature of this name, TensorFlow runs it as soon as it loads the model."""
        write = next(
            node.name
            for node in meta_graph.graph_def.node
            if node.op == "StatefulPartitionedCall" and "initialiser" in node.attr["f"].func.name
        )
        meta_graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = write
        del meta_graph.signature_def["initialiser"]

    module.initialiser = initialiser
    folder = save(tmp_path / "model", module, classify=module.scores, initialiser=initialiser)
    change(folder, rename)
    with tf.Graph().as_default(), V1.Session() as session:
        V1.saved_model.load(session, ["serve"], str(folder))
    assert target.exists(), "the model is not as hostile as the test means"
    target.unlink()
    assert read(folder, Selection()).head(16, 16).explains
    assert not target.exists()


def test_restoring_runs_nothing_else(tmp_path):
    def replace(meta_graph):
        for function in meta_graph.graph_def.library.function:
            for node in function.node_def:
                if node.op == "RestoreV2":
                    node.op = "MatchingFiles"

    with pytest.raises(ConversionError, match="restoring the variables runs MatchingFiles"):
        read(change(save(tmp_path / "model"), replace), Selection())


def lookup_table(folder):
    module = Module()
    rows = tf.lookup.KeyValueTensorInitializer(tf.range(4, dtype=tf.int64), tf.ones(4))
    module.table = tf.lookup.StaticHashTable(rows, 0.0)

    def scores(scans):
        given = module.of(scans)
        return {"scores": given * module.table.lookup(tf.argmax(given, -1))[:, None]}

    module.scores = tf.function(scores, input_signature=[SPEC])
    return save(folder, module)


def encoded(folder):
    def decode(data):
        return tf.cast(tf.image.resize(tf.image.decode_jpeg(data, 3), (16, 16)), tf.float32)

    def before(data):
        return tf.map_fn(decode, data, fn_output_signature=tf.float32)

    return save(folder, Module(before, tf.TensorSpec((None,), tf.string)))


def unknown_operation(meta_graph):
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            if node.op == "Mean":
                node.op = "MyMean"


def without_queries(meta_graph):
    """Older versions of the converter wrote so."""
    meta_graph.signature_def["describe"].inputs.clear()


def for_training(meta_graph):
    meta_graph.meta_info_def.tags[:] = ["train"]


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda folder: publish(folder), "is a converted model already; serve it"),
        (lambda folder: change(publish(folder), without_queries), "is a converted model already; serve it"),
        (lookup_table, r"runs HashTableV2 .*no random numbers, tables"),
        (encoded, "takes strings, such as encoded images"),
        (
            lambda folder: save(
                folder, Module(spec=tf.TensorSpec((None, 3, 16, 16)), before=lambda x: tf.transpose(x, (0, 2, 3, 1)))
            ),
            r"takes \(None, 3, 16, 16\) of float32",
        ),
        (lambda folder: change(save(folder), unknown_operation), "uses the operation MyMean"),
        (lambda folder: change(save(folder), for_training), r"no graph for serving.* \(tags here: train\)"),
        (lambda folder: change(save(folder), lambda meta: meta.signature_def.clear()), "has no signature"),
    ],
)
def test_a_model_that_cannot_be_converted(tmp_path, make, message):
    with pytest.raises(ConversionError, match=message):
        read(make(tmp_path / "model"), Selection())


def pipe(path):
    path.unlink()
    os.mkfifo(path)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
GRAPH, INDEX, DATA = "saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda folder: (folder / GRAPH).unlink(), "no saved_model.pb"),
        (lambda folder: (folder / GRAPH).write_bytes(b"hello"), "saved_model.pb is damaged"),
        (lambda folder: (folder / GRAPH).write_bytes((folder / GRAPH).read_bytes()[:900]), "saved_model.pb is damaged"),
        (lambda folder: (folder / GRAPH).write_bytes(POINTER), "saved_model.pb is a Git LFS pointer"),
        (lambda folder: shutil.rmtree(folder / "variables"), "variables/variables.index is missing"),
        (lambda folder: (folder / INDEX).write_bytes(b"hello" * 20), "variables cannot be read"),
        (lambda folder: (folder / DATA).unlink(), "variables cannot be read"),
        (lambda folder: pipe(folder / DATA), "variables/variables.data-00000-of-00001 is no file"),
        (lambda folder: pipe(folder / GRAPH), "saved_model.pb is no file"),
        (lambda folder: (folder / DATA).write_bytes(b"hello"), "variables cannot be read"),
        (lambda folder: (folder / DATA).write_bytes(POINTER), "data-00000-of-00001 is a Git LFS pointer"),
    ],
)
def test_a_damaged_folder(tmp_path, damage, message):
    folder = save(tmp_path / "model")
    damage(folder)
    with pytest.raises(ConversionError, match=message) as error:
        read(folder, Selection())
    assert "\n" not in str(error.value)


def test_nothing_is_printed(tmp_path, capfd):
    folder = save(tmp_path / "model")
    capfd.readouterr()
    read_back = read(folder, Selection())
    read_back.head(16, 16)
    read_back.predict(np.zeros((1, 16, 16, 3), np.float32))
    assert capfd.readouterr() == ("", "")
