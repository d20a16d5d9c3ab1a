import numpy as np
import pytest

from portable_model_server.engines.base import InvalidInputError
from portable_model_server.engines.constants import ConstantOutput, constant_outputs
from portable_model_server.engines.saved_model import signatures
from serving_api.messages import MetaGraphDef
from serving_api.tensors import from_array

TEXT = np.array(b"text", object)


@pytest.fixture
def graph():
    return MetaGraphDef()


def add_output(graph, tensor, alias="y"):
    graph.signature_def["describe"].outputs[alias].name = tensor


def add_constant(nodes, name, array):
    nodes.add(name=name, op="Const").attr["value"].tensor.CopyFrom(from_array(array))


def constants(graph):
    return constant_outputs(graph, signatures(graph)["describe"])


def arrays(graph):
    return {alias: output.array({}) for alias, output in constants(graph).items()}


def test_constants_through_identities(graph):
    nodes = graph.graph_def.node
    add_constant(nodes, "card", np.array(b"text", dtype=object))
    nodes.add(name="first", op="Identity", input=["card"])
    nodes.add(name="second", op="Identity", input=["first:0", "^first"])
    add_constant(nodes, "sizes", np.array([2, 3], np.int32))
    add_output(graph, "second:0", "card")
    add_output(graph, "sizes:0", "sizes")

    found = arrays(graph)

    assert found["card"].shape == () and found["card"].item() == b"text"
    assert found["sizes"].tolist() == [2, 3]


def test_constants_through_function_calls(graph):
    """As tf.saved_model.save writes a tf.function that returns constants: a call, and maybe a call in it."""
    outer, inner = graph.graph_def.library.function.add(), graph.graph_def.library.function.add()
    outer.signature.name, inner.signature.name = "outer", "inner"
    for name in ("one", "two"):
        outer.signature.output_arg.add(name=name)
    inner.signature.output_arg.add(name="only")
    add_constant(outer.node_def, "number", np.array(1, np.float32))
    call = outer.node_def.add(name="call", op="StatefulPartitionedCall")
    call.attr["f"].func.name = "inner"
    outer.node_def.add(name="last", op="Identity", input=["call:output:0"])
    outer.ret["one"], outer.ret["two"] = "number:output:0", "last:output:0"
    add_constant(inner.node_def, "text", np.array(b"inside", dtype=object))
    inner.ret["only"] = "text:output:0"
    graph.graph_def.node.add(name="top", op="PartitionedCall").attr["f"].func.name = "outer"
    add_output(graph, "top:0", "number")
    add_output(graph, "top:1", "text")

    found = arrays(graph)

    assert found["number"].item() == 1
    assert found["text"].item() == b"inside"


def test_what_is_computed_is_no_constant(graph):
    nodes = graph.graph_def.node
    add_constant(nodes, "one", np.array(1, np.float32))
    nodes.add(name="sum", op="Add", input=["one", "one"])
    nodes.add(name="call", op="PartitionedCall").attr["f"].func.name = "nowhere"
    nodes.add(name="circle", op="Identity", input=["circle"])
    nodes.add(name="broken", op="Const").attr["value"].tensor.dtype = 99
    nodes.add(name="valued", op="Other").attr["value"].tensor.CopyFrom(from_array(TEXT))
    for name in ("sum", "call", "circle", "broken", "valued", "missing"):
        add_output(graph, f"{name}:0", name)
    assert constants(graph) == {}


def test_the_caller_owns_the_array():
    output = ConstantOutput(np.array([1, 2]))
    output.array({})[:] = 9
    assert output.value.tolist() == [1, 2]


@pytest.fixture
def repeating(graph):
    """A signature whose output is a text for each element of an input."""
    nodes = graph.graph_def.node
    nodes.add(name="queries", op="Placeholder")
    nodes.add(name="shape", op="Shape", input=["queries"])
    add_constant(nodes, "text", TEXT)
    nodes.add(name="card", op="Fill", input=["shape", "text"])
    nodes.add(name="other", op="PartitionedCall")
    graph.signature_def["describe"].inputs["asked"].name = "queries:0"
    add_output(graph, "card:0")
    return graph


def test_a_constant_for_each_element_of_an_input(repeating):
    (output,) = constants(repeating).values()
    assert output == ConstantOutput(TEXT, shape_of="asked")
    for shape in [(0,), (1,), (3,), (2, 2), ()]:
        repeated = output.array({"asked": np.full(shape, b"", object), "other": np.zeros(7)})
        assert repeated.shape == shape and repeated.dtype == object
        assert repeated.ravel().tolist() == [b"text"] * repeated.size
        repeated[...] = b"scribbled over"
    assert output.value.item() == b"text"


def test_a_repeated_constant_within_function_calls(graph):
    """The signature's input is an argument of a function that calls another one, and its text comes from a third."""
    library, nodes = graph.graph_def.library, graph.graph_def.node
    outer, inner, text = (library.function.add() for _ in range(3))
    outer.signature.name, inner.signature.name, text.signature.name = "outer", "inner", "text"
    for function, names in ((outer, ("unused", "given")), (inner, ("a",))):
        for name in names:
            function.signature.input_arg.add(name=name)
    for function in (outer, inner, text):
        function.signature.output_arg.add(name="result")
    call = outer.node_def.add(name="call", op="PartitionedCall", input=["given"])
    call.attr["f"].func.name = "inner"
    outer.ret["result"] = "call:output:0"
    inner.node_def.add(name="same", op="Identity", input=["a"])
    inner.node_def.add(name="shape", op="Shape", input=["same:output:0"])
    inner.node_def.add(name="call", op="PartitionedCall").attr["f"].func.name = "text"
    inner.node_def.add(name="fill", op="Fill", input=["shape:output:0", "call:output:0"])
    inner.ret["result"] = "fill:output:0"
    add_constant(text.node_def, "only", TEXT)
    text.ret["result"] = "only:output:0"
    nodes.add(name="x", op="Placeholder")
    nodes.add(name="queries", op="Placeholder")
    nodes.add(name="top", op="StatefulPartitionedCall", input=["x", "queries", "^x"]).attr["f"].func.name = "outer"
    for alias in ("x", "queries"):
        graph.signature_def["describe"].inputs[alias].name = f"{alias}:0"
    add_output(graph, "top:0")
    assert constants(graph) == {"y": ConstantOutput(TEXT, shape_of="queries")}


def _another_shape(nodes, _):
    nodes["card"].input[0] = "text"


def _computed_text(nodes, _):
    nodes["card"].input[1] = "shape"


def _several_texts(nodes, _):
    nodes["text"].attr["value"].tensor.CopyFrom(from_array(np.array([b"a", b"b"], object)))


def _broken_text(nodes, _):
    nodes["text"].attr["value"].tensor.dtype = 99


def _shape_of_no_input(nodes, _):
    nodes["shape"].input[0] = "text"


def _fill_of_nothing(nodes, _):
    del nodes["card"].input[1]


def _shape_of_nothing(nodes, _):
    del nodes["shape"].input[:]


def _a_function_that_has_a_node_of_the_input_s_name(nodes, library):
    function = library.function.add()
    function.signature.name = "function"
    function.signature.output_arg.add(name="result")
    function.node_def.add(name="queries", op="Mul")
    function.ret["result"] = "queries:z:0"
    nodes["shape"].input[0] = "other"
    nodes["other"].attr["f"].func.name = "function"


@pytest.mark.parametrize(
    "change",
    [
        _another_shape,
        _computed_text,
        _several_texts,
        _broken_text,
        _shape_of_no_input,
        _fill_of_nothing,
        _shape_of_nothing,
        _a_function_that_has_a_node_of_the_input_s_name,
    ],
)
def test_what_is_not_repeated_for_an_input(repeating, change):
    change({node.name: node for node in repeating.graph_def.node}, repeating.graph_def.library)
    assert constants(repeating) == {}


def test_a_repeated_constant_is_bounded():
    text = ConstantOutput(np.array(b"x" * 1024, object), shape_of="queries")
    for rows, refused in ((65536, False), (65537, True)):
        queries = {"queries": np.broadcast_to(np.array(b"", object), (rows,))}
        if refused:
            with pytest.raises(InvalidInputError, match="more than 64 MiB: send fewer rows"):
                text.array(queries)
        else:
            assert len(text.array(queries)) == rows
