"""Bounds how many gRPC calls run at once, and refuses further ones as TensorFlow Serving does."""

import threading
from collections.abc import Callable

import grpc
from google.protobuf.message import Message

# Threads beyond the bound. They refuse calls, respond to health checks when all others are busy, and wait for the
# requests of calls that started without one.
SPARE_THREADS = 64


class ConcurrencyLimit(grpc.ServerInterceptor):
    """Calls of TensorFlow Serving's services beyond the limit get RESOURCE_EXHAUSTED; health checks always pass."""

    def __init__(self, calls: int) -> None:
        self._slots = threading.BoundedSemaphore(calls)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """Wrap a method's handler; gRPC calls this."""
        handler = continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith("/tensorflow.serving."):
            return handler

        def limited(request: Message, context: grpc.ServicerContext) -> Message:
            if not self._slots.acquire(blocking=False):
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")
            try:
                return handler.unary_unary(request, context)
            finally:
                self._slots.release()

        return grpc.unary_unary_rpc_method_handler(limited, handler.request_deserializer, handler.response_serializer)
