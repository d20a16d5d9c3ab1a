"""The warmup file: requests that a model server answers for itself while it loads, so that no client waits for it."""

from pathlib import Path

import tensorflow as tf

from brain_tumor import contract
from brain_tumor.metadata import ModelMetadata
from serving_api.messages import PredictionLog, TensorProto


def write_warmup(path: Path, metadata: ModelMetadata) -> None:
    """Write a TFRecord of two logged requests: one black image, asking for every output, and the metadata."""
    predict, describe = PredictionLog(), PredictionLog()
    request = predict.predict_log.request
    request.model_spec.name = metadata.name
    request.model_spec.signature_name = contract.PREDICT_SIGNATURE
    request.inputs[contract.IMAGES].CopyFrom(_black_image(metadata.height, metadata.width))
    describe.predict_log.request.model_spec.name = metadata.name
    describe.predict_log.request.model_spec.signature_name = contract.DESCRIBE_SIGNATURE
    with tf.io.TFRecordWriter(str(path)) as file:
        for log in (predict, describe):
            file.write(log.SerializeToString(deterministic=True))


def _black_image(height: int, width: int) -> TensorProto:
    """uint8 zeros (1, height, width, 3); the one value given stands for all, so that the file stays small."""
    proto = TensorProto(dtype=tf.uint8.as_datatype_enum, int_val=[0])
    for size in (1, height, width, 3):
        proto.tensor_shape.dim.add(size=size)
    return proto
