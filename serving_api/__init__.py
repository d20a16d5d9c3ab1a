"""TensorFlow Serving's messages and services without TensorFlow.

The official API's own descriptors (descriptors.binpb, written by serving_api.generate) are loaded into a private pool.
TensorFlow's modules define the same names in the default pool, so a process can import both without a conflict.
"""

from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

DESCRIPTORS_PATH = Path(__file__).with_name("descriptors.binpb")


@cache  # loaded at the first use, so that the generator can write the file before that
def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(DESCRIPTORS_PATH.read_bytes()).file:
        pool.Add(file)
    return pool


def message(name: str) -> Any:
    """The message class of a full name such as ``tensorflow.serving.PredictRequest``.

    Raises:
        KeyError: There is no such message.
    """
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(name))


def enum(name: str) -> Any:
    """The values of an enum of a full name such as ``tensorflow.DataType``.

    Raises:
        KeyError: There is no such enum.
    """
    return EnumTypeWrapper(_pool().FindEnumTypeByName(name))


def service(name: str) -> ServiceDescriptor:
    """The descriptor of a service such as ``tensorflow.serving.PredictionService``.

    Raises:
        KeyError: There is no such service.
    """
    return _pool().FindServiceByName(name)
