"""The responses about models, which gRPC and REST share: their states and their signatures."""

from portable_model_server.errors import invalid
from portable_model_server.serving.manager import ModelManager
from serving_api.messages import (
    Code,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    SignatureDefMap,
)

SIGNATURE_DEF = "signature_def"


def status(manager: ModelManager, request: GetModelStatusRequest) -> GetModelStatusResponse:
    """Report the states of a model's versions; version labels are ignored.

    Raises:
        ServingError: There is no such model or version.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    number = spec.version.value if spec.HasField("version") else None
    response = GetModelStatusResponse()
    for version in manager.statuses(spec.name, number):
        entry = response.model_version_status.add(version=version.number, state=version.state.value)
        # Set even without an error, so that the field is present, as in TensorFlow Serving.
        entry.status.error_code = Code.ValueType(version.error.code.value[0] if version.error else 0)
        entry.status.error_message = version.error.message if version.error else ""
    return response


def metadata(manager: ModelManager, request: GetModelMetadataRequest) -> GetModelMetadataResponse:
    """Describe a model's signatures.

    Raises:
        ServingError: There is no such model or version, or a metadata field is not ``signature_def``.
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
