import pytest

from portable_model_server.engines.saved_model import (
    SavedModelError,
    TensorInfo,
    read_saved_model,
    signatures,
)
from serving_api.messages import SavedModel

FLOAT, UINT8, STRING = 1, 4, 7


@pytest.fixture
def saved_model():
    """A SavedModel with one graph for serving, empty so far."""
    message = SavedModel(saved_model_schema_version=1)
    message.meta_graphs.add().meta_info_def.tags.append("serve")
    return message


@pytest.fixture
def graph(saved_model):
    return saved_model.meta_graphs[0]


def write(folder, message):
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    return folder


def test_reads_the_graph_for_serving(tmp_path, saved_model):
    saved_model.meta_graphs.add().meta_info_def.tags.extend(["serve", "gpu"])
    saved_model.meta_graphs[0].signature_def["here"].method_name = "predict"
    assert set(signatures(read_saved_model(write(tmp_path, saved_model)))) == {"here"}


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(SavedModelError, match=r"holds no saved_model\.pb"):
        read_saved_model(tmp_path)


def test_a_model_that_is_no_file(tmp_path):
    (tmp_path / "saved_model.pb").mkdir()
    with pytest.raises(SavedModelError, match="cannot be read"):
        read_saved_model(tmp_path)


def test_a_half_written_model(tmp_path, saved_model):
    write(tmp_path, saved_model)
    file = tmp_path / "saved_model.pb"
    file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(SavedModelError, match="is damaged"):
        read_saved_model(tmp_path)


@pytest.mark.parametrize("tags", [[], ["train"], ["serve", "gpu"]])
def test_a_model_not_for_serving(tmp_path, saved_model, tags):
    saved_model.meta_graphs[0].meta_info_def.tags[:] = tags
    with pytest.raises(SavedModelError, match='no graph tagged "serve"'):
        read_saved_model(write(tmp_path, saved_model))


def test_an_empty_file(tmp_path):
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(SavedModelError, match="is damaged or not yet whole"):
        read_saved_model(tmp_path)


FILES = [
    "assets/words.txt",
    "variables/variables.index",
    "variables/variables.data-00000-of-00002",
    "variables/variables.data-00001-of-00002",
]


@pytest.mark.parametrize("missing", FILES)
@pytest.mark.parametrize("in_a_function", [False, True])
def test_a_folder_that_is_not_whole(tmp_path, saved_model, graph, missing, in_a_function):
    graph.asset_file_def.add(filename="words.txt")
    graph.graph_def.node.add(name="weights", op="VarHandleOp")
    nodes = graph.graph_def.library.function.add().node_def if in_a_function else graph.graph_def.node
    nodes.add(name="restore", op="RestoreV2")
    write(tmp_path, saved_model)
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert read_saved_model(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(SavedModelError, match=f"holds no {missing}: copy the model's whole folder"):
        read_saved_model(tmp_path)


@pytest.mark.parametrize("operations", [["VarHandleOp"], ["RestoreV2"], []])
def test_what_restores_no_variables_needs_none(tmp_path, saved_model, graph, operations):
    for operation in operations:
        graph.graph_def.node.add(name=operation, op=operation)
    assert read_saved_model(write(tmp_path, saved_model))


def test_variables_of_which_no_values_are_there(tmp_path, saved_model, graph):
    for operation in ("VariableV2", "RestoreV2"):
        graph.graph_def.node.add(name=operation, op=operation)
    write(tmp_path, saved_model)
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "variables.index").touch()
    with pytest.raises(SavedModelError, match=r"holds no variables/variables\.data-00000-of-00001"):
        read_saved_model(tmp_path)


def test_signatures(graph):
    definition = graph.signature_def["serving_default"]
    definition.method_name = "tensorflow/serving/predict"
    images = definition.inputs["images"]
    images.name, images.dtype = "images:0", UINT8
    for size in (-1, 24, 24, 3):
        images.tensor_shape.dim.add(size=size)
    definition.outputs["scalar"].name, definition.outputs["scalar"].dtype = "out:1", FLOAT
    definition.outputs["any"].name, definition.outputs["any"].dtype = "out:2", STRING
    definition.outputs["any"].tensor_shape.unknown_rank = True
    graph.signature_def["__saved_model_init_op"].outputs["init"].name = "NoOp"

    by_name = signatures(graph)

    assert set(by_name) == {"serving_default", "__saved_model_init_op"}
    assert not by_name["__saved_model_init_op"].outputs["init"].is_tensor
    signature = by_name["serving_default"]
    assert signature.method_name == "tensorflow/serving/predict"
    assert signature.inputs == {"images": TensorInfo("images:0", UINT8, (-1, 24, 24, 3))}
    assert all(info.is_tensor for info in (*signature.inputs.values(), *signature.outputs.values()))
    assert signature.outputs == {"scalar": TensorInfo("out:1", FLOAT, ()), "any": TensorInfo("out:2", STRING, None)}
    assert signature.proto == definition, "what the model says of itself stays"
    definition.method_name = "changed"
    assert signature.proto.method_name == "tensorflow/serving/predict", "a view of the graph would keep it in memory"


@pytest.mark.parametrize(
    ("op", "attribute", "dtype"),
    [
        ("Placeholder", "dtype", UINT8),
        ("PlaceholderWithDefault", "dtype", UINT8),
        ("Identity", "T", UINT8),
        ("Cast", "DstT", FLOAT),
    ],
)
def test_an_input_has_the_dtype_of_its_placeholder(graph, op, attribute, dtype):
    """Not that which the signature declares; of other operations, the dtype is not known here."""
    graph.graph_def.node.add(name="images", op=op).attr[attribute].type = UINT8
    images = graph.signature_def["serving_default"].inputs["images"]
    images.name, images.dtype = "images:0", FLOAT
    signature = signatures(graph)["serving_default"]
    assert signature.inputs["images"].dtype == dtype
    assert signature.proto.inputs["images"].dtype == FLOAT
