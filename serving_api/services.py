"""TensorFlow Serving's two gRPC services, as a client's stub and as a server's handler."""

from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from serving_api import service
from serving_api.messages import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    PredictRequest,
    PredictResponse,
)

PREDICTION_SERVICE = service("tensorflow.serving.PredictionService")
MODEL_SERVICE = service("tensorflow.serving.ModelService")


_Request = TypeVar("_Request", contravariant=True)
_Response = TypeVar("_Response", covariant=True)


class Call(Protocol[_Request, _Response]):
    """A method of a service, as its client calls it."""

    def __call__(self, request: _Request, timeout: float | None = None, *, wait_for_ready: bool = False) -> _Response:
        """Call the method and wait for the response.

        Args:
            request: The message to send.
            timeout: The deadline, in seconds from now; None waits for ever.
            wait_for_ready: Wait for a connection where there is none, instead of failing at once.

        Raises:
            grpc.RpcError: The call failed, or its deadline passed.
        """


class PredictionStub:
    """A client of PredictionService, with the methods that are served here: ``stub.Predict(request, timeout=1.0)``."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.Predict: Call[PredictRequest, PredictResponse] = _call(channel, PREDICTION_SERVICE, "Predict")
        self.GetModelMetadata: Call[GetModelMetadataRequest, GetModelMetadataResponse] = _call(
            channel, PREDICTION_SERVICE, "GetModelMetadata"
        )


class ModelStub:
    """A client of ModelService, with the method that is served here."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.GetModelStatus: Call[GetModelStatusRequest, GetModelStatusResponse] = _call(
            channel, MODEL_SERVICE, "GetModelStatus"
        )


def _call(channel: grpc.Channel, descriptor: ServiceDescriptor, name: str) -> Any:
    request, response = _message_classes(descriptor.methods_by_name[name])
    return channel.unary_unary(
        f"/{descriptor.full_name}/{name}",
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )


def handler(descriptor: ServiceDescriptor, servicer: object) -> grpc.GenericRpcHandler:
    """A handler for ``grpc.Server.add_generic_rpc_handlers`` that calls ``servicer.Method(request, context)``.

    A method that the servicer does not have ends with the status UNIMPLEMENTED.
    """
    methods = {}
    for method in descriptor.methods:
        request, response = _message_classes(method)
        methods[method.name] = grpc.unary_unary_rpc_method_handler(
            getattr(servicer, method.name, _unimplemented),
            request_deserializer=request.FromString,
            response_serializer=response.SerializeToString,
        )
    return grpc.method_handlers_generic_handler(descriptor.full_name, methods)


def _unimplemented(request: Message, context: grpc.ServicerContext) -> None:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, "this method is not implemented by this server")


def _message_classes(method: MethodDescriptor) -> tuple[type[Message], type[Message]]:
    return message_factory.GetMessageClass(method.input_type), message_factory.GetMessageClass(method.output_type)
