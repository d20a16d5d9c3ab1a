"""The warmup file: requests that a model server runs while it loads a version, so that no client waits for it."""

from pathlib import Path

import tensorflow as tf

from brain_tumor import contract
from brain_tumor.calls import DESCRIBE, MAX_IMAGES, images_of_a_call, predictions_of
from brain_tumor.metadata import ImageSpec, ModelMetadata
from serving_api.messages import DataType, PredictionLog, TensorProto
from serving_api.requests import predict_request


def write_warmup(path: Path, metadata: ModelMetadata) -> None:
    """Write a TFRecord file of logged requests: each of the gateway's calls, for black images.

    The first have one image, for which TensorFlow then lays out the weights. The last has as many as one call of the
    gateway has at most, by its default settings.

    Args:
        path: The file to write.
        metadata: The served model's name, the size of its images, and whether it explains.
    """
    image, calls = metadata.image, predictions_of(metadata)
    largest = min(images_of_a_call(image), MAX_IMAGES)
    predictions = [(call, 1) for call in calls] + [(calls[-1], largest)]
    requests = [predict_request(metadata.name, DESCRIBE.signature, {}, DESCRIBE.outputs)]
    for call, count in predictions:
        images = {contract.IMAGES: _black_images(count, image)}
        requests.append(predict_request(metadata.name, call.signature, images, call.outputs))
    with tf.io.TFRecordWriter(str(path)) as file:
        for request in requests:
            log = PredictionLog()
            log.predict_log.request.CopyFrom(request)
            file.write(log.SerializeToString(deterministic=True))


def _black_images(count: int, image: ImageSpec) -> TensorProto:
    """uint8 zeros (count, height, width, 3). One value stands for all of them, so that the file stays small."""
    proto = TensorProto(dtype=DataType.DT_UINT8, int_val=[0])
    for size in (count, image.height, image.width, 3):
        proto.tensor_shape.dim.add(size=size)
    return proto
