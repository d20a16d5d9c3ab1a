"""Which calls of the model server the gateway makes: the signature, the outputs asked for, and the images at a time.

TensorFlow prepares its graph for each set of outputs, when a call first asks for it: 0.8 to 1.8 s of an Xception, or
10.6 s where 16 callers wait. So the converter writes a warmup record for each of these calls, and there are no others.
"""

from dataclasses import dataclass

from brain_tumor import contract
from brain_tumor.metadata import ImageSpec, ModelMetadata

# Bytes of pixels in one call, so that it fits the retry buffer and no call takes much longer than the others.
_BATCH_BYTES = 4 << 20
MAX_IMAGES = 16  # in one request to the gateway, by default


@dataclass(frozen=True)
class Call:
    """A signature, and the aliases of the outputs that a call asks for."""

    signature: str
    outputs: tuple[str, ...]


DESCRIBE = Call(contract.DESCRIBE_SIGNATURE, (contract.METADATA,))
PREDICT = Call(contract.PREDICT_SIGNATURE, (contract.PROBABILITIES, contract.OUT_OF_DISTRIBUTION))
EXPLAIN = Call(contract.PREDICT_SIGNATURE, (*PREDICT.outputs, contract.ACTIVATION_MAPS))


def predictions_of(metadata: ModelMetadata) -> tuple[Call, ...]:
    """The calls that classify images by a model."""
    return (PREDICT, EXPLAIN) if metadata.explains else (PREDICT,)


def images_of_a_call(image: ImageSpec) -> int:
    """How many images of this size are sent to the model server at a time, at most."""
    return max(1, _BATCH_BYTES // (image.height * image.width * 3))
