"""The warmup file: requests that a model server runs while it loads a version, so that no client waits for it."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from brain_tumor import contract
from brain_tumor.metadata import ModelMetadata
from serving_api.messages import DataType, PredictionLog, TensorProto
from serving_api.requests import predict_request


def write_warmup(path: Path, metadata: ModelMetadata) -> None:
    """Write a TFRecord file of two logged requests: every output for one black image, and the metadata.

    Args:
        path: The file to write.
        metadata: The served model's name and the size of its images.
    """
    images = {contract.IMAGES: _black_image(metadata.image.height, metadata.image.width)}
    requests = (
        predict_request(metadata.name, contract.PREDICT_SIGNATURE, images),
        predict_request(metadata.name, contract.DESCRIBE_SIGNATURE, {contract.QUERIES: np.array([b""], object)}),
    )
    with tf.io.TFRecordWriter(str(path)) as file:
        for request in requests:
            log = PredictionLog()
            log.predict_log.request.CopyFrom(request)
            file.write(log.SerializeToString(deterministic=True))


def _black_image(height: int, width: int) -> TensorProto:
    """uint8 zeros (1, height, width, 3). One value stands for all of them, so that the file stays small."""
    proto = TensorProto(dtype=DataType.DT_UINT8, int_val=[0])
    for size in (1, height, width, 3):
        proto.tensor_shape.dim.add(size=size)
    return proto
