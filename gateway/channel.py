"""The gRPC connection to the model server's replicas: how it balances, retries, and comes back after all were gone."""

import json
import threading
import time
from dataclasses import dataclass
from typing import Any

import grpc

from serving_api.services import PredictionStub

_SERVICE_CONFIG = {
    # Each replica gets its share; the default sends everything to the first.
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],  # every method
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.05s",
                "maxBackoff": "0.5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}
RETRY_BUFFER = 8 << 20  # bytes; a larger request is not retried, and the default is smaller than an image
OPTIONS = [
    # The model server is inside the network; a proxy in the environment is for what is outside.
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.per_rpc_retry_buffer_size", RETRY_BUFFER),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.max_receive_message_length", 64 << 20),
    # A replica that appears or returns is found within seconds; the defaults are 30 s and 120 s.
    ("grpc.dns_min_time_between_resolutions_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Despite its name also how long one attempt to connect may take, 20 s by default. Calls wait for it where no other
    # replica is connected, and a replica that is gone may not even refuse.
    ("grpc.min_reconnect_backoff_ms", 500),
    # What was sent to a peer must be acknowledged within the timeout (it becomes TCP_USER_TIMEOUT), so a replica whose
    # packets vanish is noticed then. Pings, which notice one that hangs, only while a call waits, and few: a server
    # takes many for an attack, unless its grpc.http2.min_ping_interval_without_data_ms allows them.
    ("grpc.keepalive_time_ms", 5000),
    ("grpc.keepalive_timeout_ms", 2000),
    ("grpc.keepalive_permit_without_calls", 0),
    # A new channel connects anew, instead of sharing another's connections and its waits between attempts.
    ("grpc.use_local_subchannel_pool", 1),
]
# A channel that no answer came from for so long is given up. By itself it would ask DNS for a replica's new address
# only after waits that grow to two minutes.
PATIENCE = 2.0  # seconds


@dataclass
class _Line:
    """One channel; ``answered`` is when the last answer came through it, or when it was opened."""

    channel: grpc.Channel
    stub: PredictionStub
    answered: float


class Connection:
    """Calls the model server; connects on the first call, and anew where no replica answers.

    Args:
        server: ``host:port``, every address of it, or a whole gRPC target.
        patience: seconds without an answer after which a failure makes the next call connect anew.
    """

    def __init__(self, server: str, patience: float = PATIENCE) -> None:
        self._target = server if server.startswith(("dns:", "ipv4:", "ipv6:")) else f"dns:///{server}"
        self._patience = patience
        self._lock = threading.Lock()
        # Not opened here: a channel must not live through the fork that makes gunicorn's worker.
        self._line: _Line | None = None

    def predict(self, request: Any, seconds: float) -> Any:
        """The PredictResponse to a PredictRequest.

        Raises:
            grpc.RpcError: there is none within the seconds.
        """
        line = self._current()
        try:
            response = line.stub.Predict(request, timeout=seconds)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                self._give_up_if_dead(line)
            raise
        line.answered = time.monotonic()
        return response

    def close(self) -> None:
        """End the connections."""
        with self._lock:
            if self._line is not None:
                self._line.channel.close()

    def _current(self) -> _Line:
        with self._lock:
            if self._line is None:
                channel = grpc.insecure_channel(self._target, options=OPTIONS)
                self._line = _Line(channel, PredictionStub(channel), time.monotonic())
            return self._line

    def _give_up_if_dead(self, line: _Line) -> None:
        with self._lock:
            if self._line is line and time.monotonic() - line.answered > self._patience:
                # Not closed: calls may be under way on it, and it goes when the last of them ends.
                self._line = None
