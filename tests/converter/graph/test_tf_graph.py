"""The end of a TensorFlow graph is found by its operations, and the graph is served as it is."""

import numpy as np
import pytest
import tensorflow as tf

from brain_tumor.metadata import ImageSpec, ModelMetadata
from converter.errors import ConversionError
from converter.graph.head import Output
from converter.graph.tf_freeze import frozen_function
from converter.graph.tf_graph import find_head
from converter.write.saved_model import write_saved_model
from serving_api.messages import SavedModel
from tests.converter.served import serve

SIDE, CLASSES = 16, 4
RANDOM = np.random.default_rng(0)
KERNEL = tf.constant(RANDOM.normal(0, 0.3, (3, 3, 3, 6)), tf.float32)
WEIGHTS = tf.constant(RANDOM.normal(0, 1, (6, CLASSES)), tf.float32)
BIAS = tf.constant(RANDOM.normal(0, 0.1, CLASSES), tf.float32)


def features(pixels):
    return tf.nn.relu(tf.nn.conv2d(pixels, KERNEL, 2, "SAME")) / 100


def logits(pixels):
    return tf.nn.bias_add(tf.matmul(tf.reduce_mean(features(pixels), [1, 2]), WEIGHTS), BIAS)


class Traced:
    """A function of pixels as a network; it computes by itself, and its head from its graph."""

    def __init__(self, function, batch=None, channels=3, dtype=tf.float32):
        self.channels, self.height, self.width = channels, SIDE, SIDE
        spec = tf.TensorSpec((batch, SIDE, SIDE, channels), dtype)
        self._function, self._dtype, self._batch = function, dtype, batch
        self._concrete = tf.function(function, input_signature=[spec], autograph=False).get_concrete_function()
        self.outputs = self._concrete.outputs[0].shape[-1]

    def predict(self, pixels):
        pixels = tf.cast(pixels, self._dtype)
        size = self._batch or len(pixels)
        count = -len(pixels) % size
        padded = tf.concat([pixels, tf.zeros((count, *pixels.shape[1:]), pixels.dtype)], 0) if count else pixels
        parts = [self._concrete(padded[start : start + size]) for start in range(0, len(padded), size)]
        return tf.concat(parts, 0)[: len(pixels)]

    def head(self, height, width):
        return find_head(*frozen_function(self._concrete), height, width)


def head_of(function, **options):
    return Traced(function, **options).head(SIDE, SIDE)


def meta_graph(folder):
    (meta,) = SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs
    return meta


@pytest.mark.parametrize(
    "end, kind, explains",
    [
        (lambda x: tf.nn.softmax(logits(x)), Output.SOFTMAX, True),
        (lambda x: tf.identity(tf.stop_gradient(tf.nn.softmax(tf.identity(logits(x))))), Output.SOFTMAX, True),
        (logits, Output.LOGITS, True),
        (lambda x: tf.matmul(tf.reduce_mean(features(x), [-3, -2]), WEIGHTS) + BIAS, Output.LOGITS, True),
        (lambda x: tf.nn.log_softmax(logits(x)), Output.LOGITS, True),
        (lambda x: tf.sigmoid(logits(x)[:, :1]), Output.SIGMOID, False),
        (lambda x: tf.sigmoid(tf.matmul(tf.reduce_mean(features(x), [1, 2]), WEIGHTS[:, :1])), Output.SIGMOID, True),
        (lambda x: (tf.nn.softmax(logits(x)) + tf.nn.softmax(2 * logits(x))) / 2, Output.PROBABILITIES, False),
        (lambda x: tf.nn.softmax(tf.matmul(tf.reduce_max(features(x), [1, 2]), WEIGHTS)), Output.SOFTMAX, False),
        (lambda x: tf.nn.softmax(tf.matmul(tf.reduce_mean(features(x), [1, 2]), WEIGHTS * 2)), Output.SOFTMAX, True),
        (
            lambda x: tf.nn.softmax(
                tf.matmul(tf.squeeze(tf.reduce_mean(features(x), [1, 2], keepdims=True), [1, 2]), WEIGHTS)
            ),
            Output.SOFTMAX,
            False,
        ),
    ],
)
def test_what_the_output_is_and_whether_maps_are_exact(end, kind, explains):
    head = head_of(end)
    assert (head.output, head.explains) == (kind, explains)


def test_an_exact_model_is_served_with_its_maps(tmp_path):
    served = serve(tmp_path, Traced(lambda x: tf.nn.softmax(logits(x))))
    means = served.maps.mean((1, 2)) + served.head.bias()
    assert np.abs(means - means.mean(-1, keepdims=True)).max() > 0.1
    np.testing.assert_allclose(tf.nn.softmax(means), served.own, atol=1e-5)


def test_the_graph_is_plain_and_holds_each_weight_once(tmp_path):
    served = serve(tmp_path, Traced(lambda x: tf.nn.softmax(logits(x))))
    graph = meta_graph(served.folder).graph_def
    assert not graph.library.function
    sizes = [len(node.attr["value"].tensor.tensor_content) for node in graph.node if node.op == "Const"]
    assert sizes.count(4 * KERNEL.numpy().size) == 1
    assert sizes.count(4 * WEIGHTS.numpy().size) == 2, "the last, as small as they are, once more for the maps"
    assert not [node.name for node in graph.node if "Variable" in node.op or "Call" in node.op]


@pytest.mark.parametrize(
    "network",
    [
        Traced(lambda x: tf.sigmoid(logits(x)[:, :1])),
        Traced(lambda x: (tf.nn.softmax(logits(x)) + tf.nn.softmax(2 * logits(x))) / 2),
        Traced(lambda x: tf.nn.softmax(logits(tf.concat([x, x / 2, x / 3], -1))), channels=1),
        Traced(lambda x: tf.nn.softmax(logits(tf.cast(x, tf.float32))), dtype=tf.uint8),
        Traced(
            lambda x: tf.nn.softmax(
                tf.squeeze(
                    tf.nn.conv2d(tf.reduce_mean(features(x), [1, 2], keepdims=True), WEIGHTS[None, None], 1, "SAME"),
                    [1, 2],
                )
            )
        ),
        Traced(
            lambda x: tf.nn.softmax(tf.reshape(tf.reduce_sum(tf.reshape(x, (5, -1, 4)), 1) / 9000, (5, 4))), batch=5
        ),
    ],
    ids=["sigmoid", "probabilities", "grey", "uint8", "convolution as the end", "fixed batch"],
)
def test_it_is_served_as_it_computes(tmp_path, network):
    serve(tmp_path, network)


def test_names_of_the_graph_do_not_meet_those_that_are_served(tmp_path):
    serve(tmp_path, Traced(lambda x: tf.identity(tf.nn.softmax(logits(tf.identity(x, "images"))), "probabilities")))


@pytest.mark.parametrize(
    "function, scales",
    [
        (lambda x: tf.nn.softmax(logits(x)), False),
        (lambda x: tf.nn.softmax(logits(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]))), False),
        (lambda x: tf.nn.softmax(logits(x / 255)), True),
        (lambda x: tf.nn.softmax(tf.matmul(tf.reduce_mean(x, [1, 2]), WEIGHTS[:3])), None),
    ],
)
def test_whether_it_scales(function, scales):
    assert head_of(function).scales is scales


def random(x):
    return tf.nn.softmax(logits(x) + tf.random.normal((CLASSES,)))


def training(x):
    ones = tf.ones(3)
    return tf.nn.softmax(logits(tf.compat.v1.nn.fused_batch_norm(x, ones, ones, is_training=True)[0]))


def branching(x):
    return tf.nn.softmax(tf.cond(tf.reduce_mean(x) > 9, lambda: logits(x), lambda: 2 * logits(x)))


@pytest.mark.parametrize(
    "function, options, message",
    [
        (lambda x: tf.nn.relu(logits(x)), {}, r"ends in Relu_1 \(Relu\); it must end in a softmax"),
        (lambda x: tf.sigmoid(logits(x)), {}, r"\(Sigmoid\)"),
        (random, {}, "runs RandomStandardNormal .*no random numbers"),
        (training, {}, "normalises by the images of one request"),
        (branching, {}, "branches or loops"),
        (lambda x: tf.ones((1, CLASSES)), {}, "does not depend on the image"),
        (
            lambda x: tf.nn.softmax(logits(x) + tf.reshape(tf.range(8.0), (8, 1))),
            {"batch": 8},
            "depends on its batch size of 8",
        ),
    ],
)
def test_a_graph_that_cannot_be_served(function, options, message):
    with pytest.raises(ConversionError, match=message):
        head_of(function, **options)


def test_scaled_pixels_are_no_integers(tmp_path):
    network = Traced(lambda x: tf.nn.softmax(logits(tf.cast(x, tf.float32))), dtype=tf.uint8)
    with pytest.raises(ConversionError, match='takes uint8, so it scales the pixels itself; "scaling" must be "none"'):
        serve(tmp_path, network, scaling="unit")


def test_what_is_no_weight_is_never_taken_for_one(tmp_path):
    """As by ``TF_ONEDNN_ASSUME_FROZEN_WEIGHTS``: in a ``MatMul``, the second factor keeps its first value."""

    def function(x):
        end = logits(x)
        return tf.nn.softmax(tf.transpose(tf.linalg.matmul(tf.eye(CLASSES), end, transpose_b=True)))

    served = serve(tmp_path, Traced(function))
    (meta,) = SavedModel.FromString((served.folder / "saved_model.pb").read_bytes()).meta_graphs
    nodes = {node.name: node for node in meta.graph_def.node}
    assert "BatchMatMulV2" in {node.op for node in nodes.values()}
    for node in nodes.values():
        if node.op == "MatMul":
            assert nodes[node.input[1]].op == "Const"


def test_a_kernel_that_is_computed_from_the_images_is_refused(tmp_path):
    def function(x):
        kernel = tf.reduce_mean(x, 0)[:3, :3, :, tf.newaxis] * tf.ones(CLASSES)
        return tf.nn.softmax(tf.reduce_mean(tf.nn.conv2d(x, kernel, 1, "VALID"), (1, 2)))

    metadata = ModelMetadata(tuple("abcd"), ImageSpec(SIDE, SIDE))
    with pytest.raises(ConversionError, match="convolves with a kernel that depends on the images of one request"):
        write_saved_model(tmp_path, head_of(function), metadata)


def test_a_branch_that_is_never_taken_may_do_anything():
    def function(x):
        return tf.nn.softmax(tf.cond(tf.constant(False), lambda: random(x), lambda: logits(x)))

    head = head_of(function)
    assert head.explains
    assert not {node.op for node in head.graph_def.node} & {"Switch", "Merge", "If", "RandomStandardNormal"}


def test_the_wrong_size_is_an_error_in_one_line():
    network = Traced(lambda x: tf.nn.softmax(tf.matmul(tf.reshape(x, (-1, SIDE * SIDE * 3)), tf.ones((768, CLASSES)))))
    with pytest.raises(ConversionError, match="cannot be computed for images of 20 x 20 pixels") as error:
        network.head(20, 20)
    assert "\n" not in str(error.value)
