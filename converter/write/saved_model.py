"""The SavedModel: one plain graph for both signatures, with the large weights in variables.

It is a graph in the style of TensorFlow 1, without functions or objects. TensorFlow Serving runs it as it is, OpenVINO
reads it without TensorFlow, and the metadata can be found by parsing the protobuf.
"""

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from brain_tumor import contract
from brain_tumor.metadata import ENERGY, ModelMetadata
from converter.graph.head import Head
from converter.graph.scaling import network_input
from converter.write.weights import LARGE, fold_constants, import_with_variables, make_weights_last

_V1 = tf.compat.v1
_SCHEMA_VERSION = 1  # of saved_model.pb; source: tensorflow/python/saved_model/constants.py


def write_saved_model(folder: Path, head: Head, metadata: ModelMetadata, smallest_variable: int | None = LARGE) -> None:
    """Write ``saved_model.pb`` and the variables into an existing folder.

    Args:
        folder: The folder to write into.
        head: The converted model.
        metadata: The complete metadata: it goes into the graph, and its size and temperature are built in.
        smallest_variable: Weights of so many bytes or more are variables, the others constants; None: all constants.

    Raises:
        ConversionError: The graph convolves with something that it computes from the images.
    """
    traced = _trace(head, metadata)
    # Two layers of nested models may have the same name: TensorFlow adds a number to the second.
    weights = [(f"weights/{weight.path}", keras.ops.convert_to_numpy(weight)) for weight in head.weights]
    with tf.Graph().as_default() as graph:
        images = _V1.placeholder(tf.uint8, (None, metadata.image.height, metadata.image.width, 3), name=contract.IMAGES)
        constants = [tf.constant(value, name=name) for name, value in weights]
        outputs = list(_imported(traced, [_guarded(images), *constants]))
        _describe(metadata)
    graph_def = fold_constants(graph, [*outputs, contract.METADATA])
    make_weights_last(graph_def)
    with tf.Graph().as_default() as graph:
        variables = import_with_variables(graph_def, smallest_variable)
        saver = _V1.train.Saver([variable for variable, _ in variables]) if variables else None
        meta_graph = _V1.train.export_meta_graph(
            graph=graph,
            saver_def=saver.as_saver_def() if saver else None,
            clear_devices=True,
            strip_default_attrs=True,  # an older server does not know a newer attribute, even at its default
        )
        predict = _signature(graph, [contract.IMAGES], outputs)
        meta_graph.signature_def[contract.PREDICT_SIGNATURE].CopyFrom(predict)
        describe = _signature(graph, [contract.QUERIES], [contract.METADATA])
        describe.defaults[contract.QUERIES].CopyFrom(tf.make_tensor_proto([""]))
        meta_graph.signature_def[contract.DESCRIBE_SIGNATURE].CopyFrom(describe)
    meta_graph.meta_info_def.tags.append(tf.saved_model.SERVING)
    saved_model = saved_model_pb2.SavedModel(saved_model_schema_version=_SCHEMA_VERSION, meta_graphs=[meta_graph])
    (folder / "saved_model.pb").write_bytes(saved_model.SerializeToString(deterministic=True))
    if variables:
        # The graph's own save operation would need a session that holds the values.
        (folder / "variables").mkdir()
        tf.raw_ops.SaveV2(
            prefix=str(folder / "variables" / "variables"),
            tensor_names=[variable.op.name for variable, _ in variables],
            shape_and_slices=[""] * len(variables),
            tensors=[value for _, value in variables],
        )


def _trace(head: Head, metadata: ModelMetadata) -> Any:
    """The model as a concrete function.

    It takes the images, uint8 (batch, height, width, 3), and the weights' values, and returns the outputs by name.
    """

    weights = head.weights

    def predict(images: tf.Tensor, values: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        mapping = list(zip(weights, values, strict=True))
        with tf.name_scope("model"), keras.StatelessScope(state_mapping=mapping):
            return _outputs(head, metadata, images)

    images = tf.TensorSpec((None, metadata.image.height, metadata.image.width, 3), tf.uint8)
    values = [tf.TensorSpec(weight.shape, weight.dtype) for weight in weights]
    return tf.function(predict, input_signature=[images, values], autograph=False).get_concrete_function()


def _outputs(head: Head, metadata: ModelMetadata, images: tf.Tensor) -> dict[str, tf.Tensor]:
    logits, maps = head.run(network_input(images, head.channels, metadata.scaling, head.dtype))
    highest = tf.reduce_max(logits, axis=-1)
    score = -highest
    if head.ood_score == ENERGY:
        # -logsumexp(logits), without overflow (Liu et al. 2020, https://arxiv.org/abs/2010.03759).
        score -= tf.math.log(tf.reduce_sum(tf.exp(logits - highest[:, tf.newaxis]), axis=-1))
    outputs = {
        contract.PROBABILITIES: tf.nn.softmax(logits / metadata.temperature),
        contract.OUT_OF_DISTRIBUTION: score,
    }
    return outputs if maps is None else outputs | {contract.ACTIVATION_MAPS: maps}


def _guarded(images: tf.Tensor) -> tf.Tensor:
    """The images, after operations that fail for a wrong shape.

    TensorFlow Serving does not compare their shape with the signature's: a model that pools would predict for any size,
    and an empty batch would fail with an error about something else.
    """
    shaped = tf.ensure_shape(images, images.shape, name="guard_shape")
    message = tf.constant("images must hold at least one image")
    some = tf.raw_ops.Assert(condition=tf.shape(images)[0] > 0, data=[message], name="guard_batch")
    with tf.control_dependencies([some]):
        return tf.identity(shaped)


def _imported(traced: Any, arguments: list[tf.Tensor]) -> dict[str, tf.Tensor]:
    """Put a traced function into the default graph, with only the nodes that its outputs need.

    Args:
        traced: A concrete function that returns a dictionary.
        arguments: The tensors of the default graph that it is applied to.

    Returns:
        The outputs; each tensor has the name of its key.
    """
    outputs = traced.structured_outputs
    nodes = [tensor.op.name for tensor in outputs.values()]
    inputs = dict(zip((tensor.name for tensor in traced.inputs), arguments, strict=False))
    for value, placeholder in traced.graph.captures:  # constants that a layer keeps outside its weights
        inputs[placeholder.name] = tf.constant(value.numpy())
    graph_def = _V1.graph_util.extract_sub_graph(traced.graph.as_graph_def(), nodes)
    needed = {f"{node.name}:0" for node in graph_def.node}  # a layer may own a weight that it does not use
    kept = [node for node in graph_def.node if f"{node.name}:0" not in inputs]
    imported = tf.import_graph_def(
        _V1.GraphDef(node=kept, versions=graph_def.versions, library=graph_def.library),
        input_map={name: tensor for name, tensor in inputs.items() if name in needed},
        return_elements=[tensor.name for tensor in outputs.values()],
        name="",
    )
    return {name: tf.identity(tensor, name) for name, tensor in zip(outputs, imported, strict=True)}


def _describe(metadata: ModelMetadata) -> None:
    """Add what repeats the metadata for each query to the default graph.

    The portable server finds this very form in the graph, because OpenVINO computes no strings.
    """
    queries = _V1.placeholder(tf.string, (None,), name=contract.QUERIES)
    with tf.name_scope(contract.DESCRIBE_SIGNATURE):
        text, shape = tf.constant(metadata.to_json(), name="metadata"), tf.shape(queries)
    tf.fill(shape, text, contract.METADATA)


def _signature(graph: Any, inputs: list[str], outputs: list[str]) -> Any:
    """A signature whose tensors have the names of their aliases."""
    inputs_information, outputs_information = (
        {name: _V1.saved_model.build_tensor_info(graph.get_tensor_by_name(f"{name}:0")) for name in names}
        for names in (inputs, outputs)
    )
    method = _V1.saved_model.signature_constants.PREDICT_METHOD_NAME
    return _V1.saved_model.build_signature_def(inputs_information, outputs_information, method)
