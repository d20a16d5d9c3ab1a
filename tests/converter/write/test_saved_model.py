"""The graph is plain, holds its metadata as a constant, and refuses images of another shape by itself."""

import numpy as np
import pytest
import tensorflow as tf

from brain_tumor.contract import ACTIVATION_MAPS, IMAGES, METADATA, OUT_OF_DISTRIBUTION, PROBABILITIES, QUERIES
from converter.check.verify import synthetic_images
from converter.convert import Job, convert
from portable_model_server.engines.constants import constant_outputs
from portable_model_server.engines.saved_model import signatures
from serving_api import tensors
from serving_api.messages import SavedModel
from tests.converter.small_models import SIZE, publish, write

HEIGHT, WIDTH = SIZE


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    return publish(tmp_path_factory.mktemp("frozen") / "models")


@pytest.fixture(scope="module")
def with_variables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("variables")
    source = write(folder)
    job = Job(source, source.with_suffix(".json"), folder / "models", smallest_variable=100)
    convert(job)
    return job.target


def meta_graph(folder):
    (meta,) = SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs
    return meta


def run_unchecked(folder, output, images):
    """Run a session as TensorFlow Serving's C++ does, without the check of the shape in Python."""
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        session._extend_graph()
        feeds = {graph.get_tensor_by_name(f"{IMAGES}:0")._as_tf_output(): images}
        (result,) = session._call_tf_sessionrun(
            None, feeds, [graph.get_tensor_by_name(f"{output}:0")._as_tf_output()], [], None
        )
        return result


@pytest.mark.parametrize("form", ["frozen", "with_variables"])
@pytest.mark.parametrize("output", [PROBABILITIES, OUT_OF_DISTRIBUTION, ACTIVATION_MAPS])
def test_each_output_refuses_another_shape(request, form, output):
    folder = request.getfixturevalue(form)
    assert len(run_unchecked(folder, output, np.zeros((2, HEIGHT, WIDTH, 3), np.uint8))) == 2
    for shape in [
        (1, WIDTH, HEIGHT, 3),
        (1, HEIGHT + 2, WIDTH, 3),
        (1, HEIGHT, WIDTH + 2, 3),
        (1, HEIGHT, WIDTH, 1),
        (HEIGHT, WIDTH, 3),
        (1, 1, HEIGHT, WIDTH, 3),
    ]:
        with pytest.raises(tf.errors.InvalidArgumentError, match="not compatible with expected shape"):
            run_unchecked(folder, output, np.zeros(shape, np.uint8))
    with pytest.raises(tf.errors.InvalidArgumentError, match="images must hold at least one image"):
        run_unchecked(folder, output, np.zeros((0, HEIGHT, WIDTH, 3), np.uint8))


def test_both_signatures_share_one_plain_graph(frozen):
    meta = meta_graph(frozen)
    assert list(meta.meta_info_def.tags) == ["serve"]
    assert not meta.graph_def.library.function
    predict, describe = meta.signature_def["serving_default"], meta.signature_def["describe"]
    assert {tensor.name for tensor in predict.inputs.values()} == {"images:0"}
    assert {name: tensor.name for name, tensor in predict.outputs.items()} == {
        name: f"{name}:0" for name in (PROBABILITIES, OUT_OF_DISTRIBUTION, ACTIVATION_MAPS)
    }
    assert [dim.size for dim in predict.inputs[IMAGES].tensor_shape.dim] == [-1, HEIGHT, WIDTH, 3]
    assert {tensor.name for tensor in describe.inputs.values()} == {"queries:0"}
    assert {name: tensor.name for name, tensor in describe.outputs.items()} == {METADATA: f"{METADATA}:0"}
    assert predict.method_name == describe.method_name == "tensorflow/serving/predict"


@pytest.mark.parametrize("form", ["frozen", "with_variables"])
def test_every_signature_can_be_batched(request, form):
    """TensorFlow Serving joins the inputs of several calls, and gives each call its rows of the outputs."""
    folder = request.getfixturevalue(form)
    parts = {
        IMAGES: [synthetic_images(HEIGHT, WIDTH)[:rows] for rows in (1, 2)],
        QUERIES: [np.full(rows, b"", object) for rows in (1, 2)],
    }
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        for signature in meta_graph(folder).signature_def.values():
            assert signature.inputs and signature.outputs
            for tensor in (*signature.inputs.values(), *signature.outputs.values()):
                assert tensor.tensor_shape.dim[0].size == -1, tensor.name
            fetches = {alias: tensor.name for alias, tensor in signature.outputs.items()}
            calls = [{info.name: parts[alias][call] for alias, info in signature.inputs.items()} for call in (0, 1)]
            alone = [session.run(fetches, feeds) for feeds in calls]
            joined = session.run(fetches, {name: np.concatenate([feeds[name] for feeds in calls]) for name in calls[0]})
            for alias, rows in joined.items():
                expected = np.concatenate([outputs[alias] for outputs in alone])
                assert len(rows) == 3
                if rows.dtype == object:
                    assert rows.tolist() == expected.tolist()
                else:
                    np.testing.assert_allclose(rows, expected, atol=1e-5)


@pytest.mark.parametrize("form", ["frozen", "with_variables"])
def test_each_query_gets_the_metadata(request, form):
    """By TensorFlow's session, and by what finds it in the graph for OpenVINO."""
    folder = request.getfixturevalue(form)
    text = (folder / "assets.extra" / "metadata.json").read_bytes()
    graph = meta_graph(folder)
    found = constant_outputs(graph, signatures(graph)["describe"])
    assert found[METADATA].shape_of == QUERIES
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        for count in (0, 1, 3):
            queries = np.full(count, b"who?", object)
            assert session.run(f"{METADATA}:0", {f"{QUERIES}:0": queries}).tolist() == [text] * count
            assert found[METADATA].array({QUERIES: queries}).tolist() == [text] * count


def test_a_call_without_queries_gets_the_metadata_once(frozen):
    """TensorFlow Serving takes a signature's default for an input that a request lacks."""
    default = meta_graph(frozen).signature_def["describe"].defaults[QUERIES]
    assert tensors.to_array(default).tolist() == [b""]


def test_every_node_is_needed_and_none_trains(frozen):
    nodes = {node.name: node for node in meta_graph(frozen).graph_def.node}
    needed, waiting = set(), [PROBABILITIES, OUT_OF_DISTRIBUTION, ACTIVATION_MAPS, METADATA]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [tensor.lstrip("^").split(":")[0] for tensor in nodes[name].input]
    assert needed == set(nodes)
    operations = {node.op for node in nodes.values()}
    assert not operations & {
        "ReadVariableOp",  # its weights are small
        "VarHandleOp",
        "PartitionedCall",
        "StopGradient",
        "RandomUniform",
        "Rsqrt",
    }


def test_weights_are_stored_once(frozen, with_variables):
    def size(folder):
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    def weights(folder):
        constants = [node for node in meta_graph(folder).graph_def.node if node.op == "Const"]
        return sum(len(node.attr["value"].tensor.tensor_content) for node in constants)

    assert 0 < weights(frozen) < size(frozen)
    assert weights(with_variables) < weights(frozen)
    assert (with_variables / "variables" / "variables.index").is_file()
    assert not (frozen / "variables").exists()
