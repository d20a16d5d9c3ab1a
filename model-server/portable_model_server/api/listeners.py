"""The listeners for gRPC and HTTP: each opens its port, and closes it without losing a call that is under way."""

import errno
import logging
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from flask import Flask
from grpc_health.v1 import health_pb2_grpc

from portable_model_server.api.grpc import ModelServicer, PredictionServicer
from portable_model_server.api.health import DrainingHealthServicer
from portable_model_server.api.interceptors import SPARE_THREADS, ConcurrencyLimit
from portable_model_server.api.rest_server import RestServer
from serving_api.services import MODEL_SERVICE, PREDICTION_SERVICE, handler

_LOGGER = logging.getLogger(__name__)
# Threads of REST beyond the predictions that run at once. They read the requests of slow clients, wait with those whose
# predictions have to wait, and respond to calls for the status and the metrics when all others are busy.
_SPARE_REST_THREADS = 64


class PortTaken(Exception):
    """Nothing can listen at an address; the message names it and the reason."""


def every_address(host: str) -> str:
    """The host to listen on: ``::``, which is every address, is IPv4's alone where the machine has no IPv6."""
    return "0.0.0.0" if host == "::" and not socket.has_dualstack_ipv6() else host  # noqa: S104 as the flag asks


def address(host: str, port: int) -> str:
    """``HOST:PORT``, with an address of IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_address(host: str, port: int) -> None:
    """Fail early, before models load, if the port cannot be opened.

    Raises:
        PortTaken: Another process has the port, or nothing can listen at the address.
    """
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if host == "::":
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            probe.bind((host, port))
    except OSError as error:
        reason = "is in use by another process" if error.errno == errno.EADDRINUSE else f"failed: {error.strerror}"
        raise PortTaken(f"listening on {address(host, port)} {reason}; choose another port") from None


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
        """Start to listen.

        Args:
            addresses: ``HOST:PORT`` or ``unix:PATH``, in gRPC's notation.
            prediction: Serves PredictionService.
            model: Serves ModelService.
            max_calls: Calls at once.
            max_message_bytes: Largest request, in bytes.
            options: Further channel arguments.
            health: Whether grpc.health.v1 is served.

        Raises:
            PortTaken: Nothing can listen at an address.
        """
        self._health = DrainingHealthServicer() if health else None
        threads = max_calls + SPARE_THREADS
        self._server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
            interceptors=[ConcurrencyLimit(max_calls)],
            maximum_concurrent_rpcs=threads,
            options=[
                # Otherwise two servers can share a port, and each gets some of the calls.
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", max_message_bytes),
                *options,
            ],
        )
        self._server.add_generic_rpc_handlers((handler(PREDICTION_SERVICE, prediction), handler(MODEL_SERVICE, model)))
        if self._health:
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for address in addresses:
            try:
                self._server.add_insecure_port(address)
            except RuntimeError:
                raise PortTaken(f"gRPC cannot listen on {address}: is it in use by another process?") from None
        self._server.start()
        _LOGGER.info("Running gRPC ModelServer at %s ...", ", ".join(addresses))

    def close(self, grace_s: int) -> threading.Event:
        """Refuse new calls; the event is set once those under way have ended or, after the grace, are cancelled."""
        if self._health:
            self._health.end()
        return self._server.stop(grace_s)


class RestListener:
    """The HTTP server, in threads of its own."""

    def __init__(self, host: str, port: int, app: Flask, *, predictions: int, max_body_bytes: int) -> None:
        """Start to listen.

        Args:
            host: Address to listen on.
            port: Port to listen on.
            app: The application.
            predictions: Predictions that the application runs at once. Further requests have threads too: those of
                clients that are slow, and those that need no prediction.
            max_body_bytes: Largest body, in bytes.

        Raises:
            PortTaken: Nothing can listen at the address.
        """
        threads = predictions + _SPARE_REST_THREADS
        self._server = RestServer(host, port, app, threads=threads, max_body_bytes=max_body_bytes)
        try:
            self._server.prepare()
        except OSError as error:
            raise PortTaken(f"REST cannot listen on {address(host, port)}: {error.strerror}") from None
        threading.Thread(target=self._server.serve, name="rest", daemon=True).start()
        _LOGGER.info("Exporting HTTP/REST API at:%s ...", address(host, port))

    def close(self, grace_s: int) -> threading.Event:
        """Close the port and idle connections; the event is set once the requests under way have ended."""
        ended = threading.Event()

        def stop() -> None:
            self._server.shutdown_timeout = grace_s
            self._server.stop()
            ended.set()

        threading.Thread(target=stop, name="rest stop", daemon=True).start()
        return ended
