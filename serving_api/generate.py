"""Write descriptors.binpb from the official packages: python -m serving_api.generate.

Needs the development packages (tensorflow-serving-api and tensorflow); tests/serving_api holds the
committed file equal to what this makes.
"""

import contextlib
import importlib

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

from serving_api import DESCRIPTORS_PATH

ROOTS = {
    "tensorflow_serving.apis.prediction_service_pb2": "tensorflow_serving/apis/prediction_service.proto",
    "tensorflow_serving.apis.model_service_pb2": "tensorflow_serving/apis/model_service.proto",
    "tensorflow_serving.apis.prediction_log_pb2": "tensorflow_serving/apis/prediction_log.proto",
    "tensorflow_serving.config.model_server_config_pb2": "tensorflow_serving/config/model_server_config.proto",
    "tensorflow.core.protobuf.saved_model_pb2": "tensorflow/core/protobuf/saved_model.proto",
}


def official_descriptors() -> FileDescriptorSet:
    """The official .proto files and all that they import, dependencies first, with monitoring_config.proto.

    Raises:
        ModuleNotFoundError: the development packages are not installed.
    """
    files: dict[str, FileDescriptorProto] = {}
    for module, proto in ROOTS.items():
        # The two service modules of tensorflow-serving-api 2.20.0 register their descriptor and then fail on
        # a line that protobuf 7 does not allow.
        with contextlib.suppress(AttributeError):
            importlib.import_module(module)
        _collect(descriptor_pool.Default().FindFileByName(proto), files)
    return FileDescriptorSet(file=[*files.values(), _monitoring_config()])


def _collect(file: FileDescriptor, files: dict[str, FileDescriptorProto]) -> None:
    if file.name in files:
        return
    for dependency in file.dependencies:
        _collect(dependency, files)
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    files[file.name] = proto


def _monitoring_config() -> FileDescriptorProto:
    """monitoring_config.proto, which tensorflow-serving-api does not ship.

    Source: tensorflow_serving/config/monitoring_config.proto of tensorflow/serving 2.20.0.
    """
    file = FileDescriptorProto(
        name="tensorflow_serving/config/monitoring_config.proto", package="tensorflow.serving", syntax="proto3"
    )
    prometheus = file.message_type.add(name="PrometheusConfig")
    monitoring = file.message_type.add(name="MonitoringConfig")
    optional = FieldDescriptorProto.LABEL_OPTIONAL
    prometheus.field.add(name="enable", number=1, type=FieldDescriptorProto.TYPE_BOOL, label=optional)
    prometheus.field.add(name="path", number=2, type=FieldDescriptorProto.TYPE_STRING, label=optional)
    monitoring.field.add(
        name="prometheus_config",
        number=1,
        type=FieldDescriptorProto.TYPE_MESSAGE,
        type_name=".tensorflow.serving.PrometheusConfig",
        label=optional,
    )
    return file


if __name__ == "__main__":
    DESCRIPTORS_PATH.write_bytes(official_descriptors().SerializeToString(deterministic=True))
    print(f"wrote {DESCRIPTORS_PATH.name}, {DESCRIPTORS_PATH.stat().st_size:,} bytes")
