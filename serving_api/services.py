"""TensorFlow Serving's two gRPC services, as a client's stub and as a server's handler."""

from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor

from serving_api import service

PREDICTION_SERVICE = service("tensorflow.serving.PredictionService")
MODEL_SERVICE = service("tensorflow.serving.ModelService")


class Stub:
    """One callable attribute for each method of a service, e.g. ``stub.Predict(request, timeout=1.0)``."""

    def __init__(self, channel: grpc.Channel, descriptor: Any) -> None:
        for method in descriptor.methods:
            request, response = _message_classes(method)
            call = channel.unary_unary(
                f"/{descriptor.full_name}/{method.name}",
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString,
            )
            setattr(self, method.name, call)

    def __getattr__(self, name: str) -> Any:
        # Reached only for a name the service does not have; tells type checkers that the others exist.
        raise AttributeError(f"the service has no method {name}")


def handler(descriptor: Any, servicer: object) -> grpc.GenericRpcHandler:
    """A handler for ``grpc.Server.add_generic_rpc_handlers`` that calls ``servicer.Method(request, context)``.

    A method that the servicer does not have answers UNIMPLEMENTED.
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


def _unimplemented(request: Any, context: grpc.ServicerContext) -> None:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, "this method is not implemented by this server")


def _message_classes(method: MethodDescriptor) -> tuple[Any, Any]:
    return message_factory.GetMessageClass(method.input_type), message_factory.GetMessageClass(method.output_type)
