"""The names by which the nodes of a TensorFlow graph read one another."""


def node_of(tensor: str) -> str:
    """The name of the node that makes a tensor, or that an edge starts from."""
    return tensor.lstrip("^").split(":")[0]
