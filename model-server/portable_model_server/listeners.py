"""The two doors, gRPC and HTTP: each opens, and closes without losing a call that is under way."""

import errno
import logging
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import waitress
from flask import Flask
from grpc_health.v1 import health_pb2, health_pb2_grpc

from portable_model_server.concurrency import SPARE_THREADS, ConcurrencyLimit
from portable_model_server.grpc_services import EndingHealthServicer, ModelServicer, PredictionServicer
from serving_api.services import MODEL_SERVICE, PREDICTION_SERVICE, handler

_LOGGER = logging.getLogger(__name__)
HEALTH_SERVICES = ("ModelService", "PredictionService")


class PortTaken(Exception):
    """Nothing can listen at an address; the message says which and why."""


def check_address(host: str, port: int) -> None:
    """Fail early, before models load, where opening the port would fail.

    Raises:
        PortTaken: another process has it, or it is not to be had.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = "is in use by another process" if error.errno == errno.EADDRINUSE else f"failed: {error.strerror}"
            raise PortTaken(f"listening on {host}:{port} {reason}; choose another port") from None


class GrpcListener:
    """The gRPC server."""

    def __init__(
        self,
        addresses: Sequence[str],
        prediction: PredictionServicer,
        model: ModelServicer,
        *,
        max_calls: int,
        max_message_bytes: int,
        options: Sequence[tuple[str, int | str]],
        health: bool,
    ) -> None:
        """Start listening.

        Args:
            addresses: as gRPC writes them, ``HOST:PORT`` or ``unix:PATH``.
            prediction: answers PredictionService.
            model: answers ModelService.
            max_calls: calls at once.
            max_message_bytes: largest request.
            options: further channel arguments.
            health: whether grpc.health.v1 is served.

        Raises:
            PortTaken: an address is not to be had.
        """
        self._health = EndingHealthServicer() if health else None
        threads = max_calls + SPARE_THREADS
        self._server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
            interceptors=[ConcurrencyLimit(max_calls)],
            maximum_concurrent_rpcs=threads,
            options=[
                # Two servers would share a port otherwise, and each get some of the calls.
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", max_message_bytes),
                *options,
            ],
        )
        self._server.add_generic_rpc_handlers((handler(PREDICTION_SERVICE, prediction), handler(MODEL_SERVICE, model)))
        if self._health:
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
            for name in HEALTH_SERVICES:
                self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        for address in addresses:
            try:
                self._server.add_insecure_port(address)
            except RuntimeError:
                raise PortTaken(f"gRPC cannot listen on {address}: is it in use by another process?") from None
        self._server.start()
        _LOGGER.info("Running gRPC ModelServer at %s ...", ", ".join(addresses))

    def close(self, grace_s: float) -> threading.Event:
        """Take no new calls; the event is set once those under way have ended, or were cut off after the grace."""
        if self._health:
            self._health.end()
        return self._server.stop(grace_s)


class RestListener:
    """The HTTP server: waitress, in a thread."""

    def __init__(self, host: str, port: int, app: Flask, *, threads: int, max_body_bytes: int) -> None:
        """Start listening.

        Raises:
            PortTaken: the address is not to be had.
        """
        try:
            self._server: Any = waitress.create_server(
                app,
                host=host,
                port=port,
                threads=threads,
                max_request_body_size=max_body_bytes,
                ident="",
                # Connections that say nothing must not keep others out, nor stay.
                connection_limit=1000,
                channel_timeout=30,
                clear_untrusted_proxy_headers=True,
            )
        except OSError as error:
            raise PortTaken(f"REST cannot listen on {host}:{port}: {error.strerror}") from None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="rest", daemon=True)
        self._thread.start()
        _LOGGER.info("Exporting HTTP/REST API at:%s:%d ...", host, port)

    def close(self) -> None:
        """Take no new connections, and let the answers under way go out; returns at once."""
        self._closing.set()
        self._server.pull_trigger()

    def wait(self, timeout_s: float) -> bool:
        """Whether all had ended by then."""
        self._thread.join(max(timeout_s, 0))
        return not self._thread.is_alive()

    def _serve(self) -> None:
        while not self._closing.is_set():
            self._turn(1.0)
        self._server.del_channel()
        self._server.socket.close()
        while self._server.active_channels:
            # What has arrived already counts as under way.
            self._turn(0.1)
            for channel in list(self._server.active_channels.values()):
                # A connection that is not in the middle of a call would wait for another one for ever.
                if not (channel.requests or channel.request or channel.total_outbufs_len):
                    channel.will_close = True
        self._server.task_dispatcher.shutdown()

    def _turn(self, timeout_s: float) -> None:
        self._server.asyncore.loop(timeout=timeout_s, use_poll=True, map=self._server._map, count=1)
