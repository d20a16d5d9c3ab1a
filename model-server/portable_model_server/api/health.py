"""The health service of gRPC, grpc.health.v1, made so that a server with open watches can stop."""

from collections.abc import Callable

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import HealthServicer

SERVICES = ("ModelService", "PredictionService")


class DrainingHealthServicer(HealthServicer):
    """Reports every service as SERVING, and can end the watches: an open one would hold up a server that drains."""

    def __init__(self) -> None:
        super().__init__()
        for name in SERVICES:
            self.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._watchers: set[Callable[[health_pb2.HealthCheckResponse | None], None]] = set()

    def Watch(  # noqa: N802
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.ServicerContext,
        send_response_callback: Callable[[health_pb2.HealthCheckResponse | None], None],
    ) -> None:
        """Stream a service's health; gRPC calls this."""
        self._watchers.add(send_response_callback)
        context.add_callback(lambda: self._watchers.discard(send_response_callback))
        super().Watch(request, context, send_response_callback)

    def end(self) -> None:
        """Report NOT_SERVING from now on, to the watchers too, and end their streams."""
        self.enter_graceful_shutdown()
        for send_response in list(self._watchers):
            send_response(None)
