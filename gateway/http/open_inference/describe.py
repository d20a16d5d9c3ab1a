"""What the server and its model are, in the protocol's words."""

from gateway import NAME, VERSION
from gateway.http.open_inference.messages import BYTES, UINT8, ModelDescription, ServerDescription, Tensor
from gateway.http.open_inference.outputs import declare, properties
from gateway.http.open_inference.tensors import CHANNELS, FILES, PIXELS
from gateway.model.responses import ServedModel

SERVER = ServerDescription(NAME, VERSION, ["binary_tensor_data"])


def describe(model: ServedModel) -> ModelDescription:
    """Describe a model: a request has one of the two inputs."""
    image = model.metadata.image
    return ModelDescription(
        name=model.name,
        versions=[str(model.version)],
        platform="tensorflow_savedmodel",
        inputs=[
            Tensor(FILES, BYTES, [-1]),
            Tensor(PIXELS, UINT8, [-1, image.height, image.width, CHANNELS]),
        ],
        outputs=declare(model.metadata),
        properties={**properties(model.metadata), "color_mode": image.color_mode},
    )
