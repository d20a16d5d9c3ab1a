"""Type stubs for the messages, made from their descriptors: what mypy and editors read in place of messages.py.

The official .proto files are merged into one for each proto package, and pruned to what the messages that messages.py
names are made of: 164 messages and enums in 59 files become 67 in three.
"""

import copy
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet

_GOOGLE = "google.protobuf"  # its messages have stubs of their own, in types-protobuf
# Large messages that no code here reads. The stubs have no field of these types.
_OMITTED = {
    ".tensorflow.SavedObjectGraph",
    ".tensorflow.serving.ClassifyLog",
    ".tensorflow.serving.MultiInferenceLog",
    ".tensorflow.serving.PredictStreamedLog",
    ".tensorflow.serving.RegressLog",
    ".tensorflow.serving.SessionRunLog",
}
_HEADER = '"""The types of messages.py. Written by serving_api.generate; do not edit."""\n\n'
_Type = DescriptorProto | EnumDescriptorProto


def stub_files(descriptors: FileDescriptorSet, messages: ModuleType) -> dict[str, str]:
    """The stub files by their paths, relative to the folder that holds serving_api.

    Args:
        descriptors: The official files, dependencies first.
        messages: The module that names the messages and enums; each has its descriptor as DESCRIPTOR.

    Raises:
        CalledProcessError: mypy-protobuf, a development package, is not installed, or it fails.
    """
    names = {name: value.DESCRIPTOR for name, value in vars(messages).items() if hasattr(value, "DESCRIPTOR")}
    files = _merged(descriptors, {f".{descriptor.full_name}" for descriptor in names.values()})
    stubs = _generated(files)
    stubs["serving_api/messages.pyi"] = _HEADER + "".join(
        f"from {_module(descriptor.file.package)} import {name} as {name}\n"
        for name, descriptor in sorted(names.items(), key=lambda item: (item[1].file.package, item[0]))
    )
    return stubs


def _module(package: str) -> str:
    return f"serving_api.protos.{package.replace('.', '_')}_pb2"


def _proto(package: str) -> str:
    return f"serving_api/protos/{package.replace('.', '_')}.proto"


def _merged(descriptors: FileDescriptorSet, roots: Iterable[str]) -> list[FileDescriptorProto]:
    """One file for each package with the types that the roots need, and Google's own files, dependencies first."""
    descriptors = copy.deepcopy(descriptors)  # fields will be taken out
    types: dict[str, _Type] = {}
    homes: dict[str, str] = {}
    for file in descriptors.file:
        declarations: list[_Type] = [*file.message_type, *file.enum_type]
        for declared in declarations:
            name = f".{file.package}.{declared.name}"
            types[name] = declared
            homes[name] = file.name if file.package == _GOOGLE else _proto(file.package)
    needed = _reachable(types, roots)
    google = [file for file in descriptors.file if file.package == _GOOGLE]
    merged: dict[str, FileDescriptorProto] = {}
    for file in descriptors.file:
        kept = {name: types[name] for name in needed if name.rpartition(".")[0] == f".{file.package}"}
        home = _proto(file.package)
        if not kept or file.package == _GOOGLE or home in merged:
            continue
        messages = [declared for declared in kept.values() if isinstance(declared, DescriptorProto)]
        enums = [declared for declared in kept.values() if isinstance(declared, EnumDescriptorProto)]
        imports = {homes[name] for message in messages for name in _references(message, types)} - {home}
        merged[home] = FileDescriptorProto(
            name=home,
            package=file.package,
            syntax="proto3",
            dependency=sorted(imports),
            message_type=messages,
            enum_type=enums,
        )
    return [*google, *_dependencies_first(merged)]


def _reachable(types: Mapping[str, _Type], roots: Iterable[str]) -> list[str]:
    """The names of the roots and of all types in their fields, sorted; removes the fields that are omitted."""
    reached: set[str] = set()
    waiting = set(roots)
    while waiting:
        name = waiting.pop()
        reached.add(name)
        declared = types[name]
        if isinstance(declared, DescriptorProto):
            for position, field in reversed([*enumerate(declared.field)]):
                if field.type_name in _OMITTED:
                    del declared.field[position]
            waiting.update(set(_references(declared, types)) - reached)
    return sorted(reached)


def _references(message: DescriptorProto, types: Mapping[str, _Type]) -> Iterator[str]:
    """The top-level types of a message's fields, and of the messages' that are nested in it."""
    for field in message.field:
        name = field.type_name
        while name and name not in types:
            name = name.rpartition(".")[0]  # a nested type: the type around it
        if name:
            yield name
    for nested in message.nested_type:
        yield from _references(nested, types)


def _dependencies_first(files: Mapping[str, FileDescriptorProto]) -> list[FileDescriptorProto]:
    ordered: dict[str, FileDescriptorProto] = {}

    def add(name: str) -> None:
        if name in files and name not in ordered:
            for dependency in files[name].dependency:
                add(dependency)
            ordered[name] = files[name]

    for name in files:
        add(name)
    return [*ordered.values()]


def _generated(files: Iterable[FileDescriptorProto]) -> dict[str, str]:
    """What mypy-protobuf writes for our own files, asked as protoc asks its plugins."""
    request = CodeGeneratorRequest(
        file_to_generate=[file.name for file in files if file.package != _GOOGLE],
        proto_file=files,
        parameter="readable_stubs,quiet",
    )
    command = [sys.executable, "-m", "mypy_protobuf.main"]
    done = subprocess.run(command, input=request.SerializeToString(), stdout=subprocess.PIPE, check=True)  # noqa: S603
    response = CodeGeneratorResponse.FromString(done.stdout)
    return {file.name: file.content for file in response.file}
