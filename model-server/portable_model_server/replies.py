"""The answers about models that gRPC and REST share: their states and their signatures."""

from typing import Any

from portable_model_server.errors import invalid
from portable_model_server.manager import ModelManager
from serving_api.messages import Code, GetModelMetadataResponse, GetModelStatusResponse, SignatureDefMap

SIGNATURE_DEF = "signature_def"


def status(manager: ModelManager, request: Any) -> Any:
    """The GetModelStatusResponse to a GetModelStatusRequest; version labels are not looked at.

    Raises:
        ServingError: no such model or version.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    number = spec.version.value if spec.HasField("version") else None
    response = GetModelStatusResponse()
    for version in manager.statuses(spec.name, number):
        entry = response.model_version_status.add(version=version.number, state=int(version.state))
        # Sets the field, as TensorFlow Serving does, also for a version that is well.
        entry.status.error_code = Code.ValueType(version.error.code.value[0] if version.error else 0)
        entry.status.error_message = version.error.message if version.error else ""
    return response


def metadata(manager: ModelManager, request: Any) -> Any:
    """The GetModelMetadataResponse to a GetModelMetadataRequest.

    Raises:
        ServingError: no such model or version, or a metadata field other than ``signature_def``.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for name in request.metadata_field:
        if name != SIGNATURE_DEF:
            raise invalid(f"Metadata field {name} is not supported")
    response = GetModelMetadataResponse()
    with manager.hold(request.model_spec) as servable:
        signatures = SignatureDefMap()
        for name, signature in servable.model.signatures.items():
            signatures.signature_def[name].CopyFrom(signature.proto)
        response.model_spec.name = servable.name
        response.model_spec.version.value = servable.version
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return response
