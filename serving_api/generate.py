"""Write descriptors.binpb and the type stubs from the official packages: python -m serving_api.generate.

Needs the development packages (tensorflow-serving-api, tensorflow and mypy-protobuf); tests/serving_api holds the
committed files equal to what this makes.
"""

import contextlib
import importlib
from pathlib import Path

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

from serving_api import DESCRIPTORS_PATH
from serving_api.stubs import stub_files

ROOT = DESCRIPTORS_PATH.parents[1]
_OFFICIAL = {
    "tensorflow_serving.apis.prediction_service_pb2": "tensorflow_serving/apis/prediction_service.proto",
    "tensorflow_serving.apis.model_service_pb2": "tensorflow_serving/apis/model_service.proto",
    "tensorflow_serving.apis.prediction_log_pb2": "tensorflow_serving/apis/prediction_log.proto",
    "tensorflow_serving.config.model_server_config_pb2": "tensorflow_serving/config/model_server_config.proto",
    "tensorflow.core.protobuf.saved_model_pb2": "tensorflow/core/protobuf/saved_model.proto",
}


def official_descriptors() -> FileDescriptorSet:
    """The official .proto files, all files that they import, and two that no package ships; dependencies first.

    Raises:
        ModuleNotFoundError: The development packages are not installed.
    """
    files: dict[str, FileDescriptorProto] = {}
    for module, proto in _OFFICIAL.items():
        # The two service modules of tensorflow-serving-api 2.20.0 register their descriptor, and then fail at a line
        # that protobuf 7 does not allow.
        with contextlib.suppress(AttributeError):
            importlib.import_module(module)
        _collect(descriptor_pool.Default().FindFileByName(proto), files)
    return FileDescriptorSet(file=[*files.values(), _monitoring_config(), _batching_parameters()])


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
    _add(prometheus, "enable", 1, FieldDescriptorProto.TYPE_BOOL)
    _add(prometheus, "path", 2, FieldDescriptorProto.TYPE_STRING)
    _add(monitoring, "prometheus_config", 1, ".tensorflow.serving.PrometheusConfig")
    return file


def _batching_parameters() -> FileDescriptorProto:
    """BatchingParameters, of a file that tensorflow-serving-api does not ship; the rest of it is used nowhere here.

    Source: tensorflow_serving/servables/tensorflow/session_bundle_config.proto of tensorflow/serving 2.20.0.
    """
    file = FileDescriptorProto(
        name="tensorflow_serving/servables/tensorflow/session_bundle_config.proto",
        package="tensorflow.serving",
        dependency=["google/protobuf/wrappers.proto"],
        syntax="proto3",
    )
    parameters = file.message_type.add(name="BatchingParameters")
    _add(parameters, "max_batch_size", 1, ".google.protobuf.Int64Value")
    _add(parameters, "batch_timeout_micros", 2, ".google.protobuf.Int64Value")
    _add(parameters, "max_enqueued_batches", 3, ".google.protobuf.Int64Value")
    _add(parameters, "num_batch_threads", 4, ".google.protobuf.Int64Value")
    _add(parameters, "thread_pool_name", 5, ".google.protobuf.StringValue")
    _add(parameters, "enable_large_batch_splitting", 8, ".google.protobuf.BoolValue")
    _add(parameters, "max_execution_batch_size", 9, ".google.protobuf.Int64Value")
    _add(parameters, "allowed_batch_sizes", 6, FieldDescriptorProto.TYPE_INT64, repeated=True)
    _add(parameters, "pad_variable_length_inputs", 7, FieldDescriptorProto.TYPE_BOOL)
    return file


def _add(
    message: DescriptorProto,
    name: str,
    number: int,
    field_type: FieldDescriptorProto.Type.ValueType | str,
    repeated: bool = False,
) -> None:
    """Add a field, of a scalar type or of a message's full name."""
    field = message.field.add(name=name, number=number)
    field.label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
    if isinstance(field_type, str):
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = field_type
    else:
        field.type = field_type


def main() -> None:
    """Write the descriptors, then the stubs of the messages that messages.py names."""
    descriptors = official_descriptors()
    _write(DESCRIPTORS_PATH, descriptors.SerializeToString(deterministic=True))
    messages = importlib.import_module("serving_api.messages")  # needs the descriptors
    for path, text in stub_files(descriptors, messages).items():
        _write(ROOT / path, text.encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    print(f"wrote {path.relative_to(ROOT)}, {len(content):,} bytes")


if __name__ == "__main__":
    main()
