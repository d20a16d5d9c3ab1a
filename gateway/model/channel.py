"""The gRPC connection to the model server's replicas: it balances, retries, and recovers after all were gone."""

import json
import threading
import time
from dataclasses import dataclass

import grpc

from serving_api.messages import PredictRequest, PredictResponse
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
    # packets vanish is noticed then. Pings notice a replica that hangs. They are sent only while a call waits, and
    # seldom: a server takes many for an attack, unless its grpc.http2.min_ping_interval_without_data_ms allows them.
    ("grpc.keepalive_time_ms", 5000),
    ("grpc.keepalive_timeout_ms", 2000),
    ("grpc.keepalive_permit_without_calls", 0),
    # A new channel makes connections of its own, instead of sharing another's and its waits between attempts.
    ("grpc.use_local_subchannel_pool", 1),
]
# A channel without a response for this long is given up. By itself it would ask DNS for a replica's new address only
# after waits that grow to two minutes.
PATIENCE = 2.0  # seconds


@dataclass
class _ChannelState:
    """One channel, and when it last worked.

    Attributes:
        channel: The channel.
        stub: Makes calls through the channel.
        last_response: When the last response came through the channel, or when it was opened; monotonic seconds.
    """

    channel: grpc.Channel
    stub: PredictionStub
    last_response: float


class Connection:
    """Calls the model server; connects on the first call, and anew where no replica responds.

    Args:
        server: ``host:port``, where every address of the host is used, or a whole gRPC target.
        patience: Seconds without a response after which a failure makes the next call connect anew.
    """

    def __init__(self, server: str, patience: float = PATIENCE) -> None:
        self._target = server if server.startswith(("dns:", "ipv4:", "ipv6:")) else f"dns:///{server}"
        self._patience = patience
        self._lock = threading.Lock()
        # Not opened here: a channel must not live through the fork that makes gunicorn's worker.
        self._state: _ChannelState | None = None

    def predict(self, request: PredictRequest, seconds: float) -> PredictResponse:
        """Send a request and wait for its response.

        Args:
            request: What to send.
            seconds: Time limit.

        Raises:
            grpc.RpcError: There is no response within the time limit.
        """
        state = self._open()
        try:
            response = state.stub.Predict(request, timeout=seconds)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                self._give_up_if_dead(state)
            raise
        state.last_response = time.monotonic()
        return response

    def close(self) -> None:
        """End the connections."""
        with self._lock:
            if self._state is not None:
                self._state.channel.close()

    def _open(self) -> _ChannelState:
        with self._lock:
            if self._state is None:
                channel = grpc.insecure_channel(self._target, options=OPTIONS)
                self._state = _ChannelState(channel, PredictionStub(channel), time.monotonic())
            return self._state

    def _give_up_if_dead(self, state: _ChannelState) -> None:
        with self._lock:
            if self._state is state and time.monotonic() - state.last_response > self._patience:
                # Not closed: calls may be under way on it, and it goes when the last of them ends.
                self._state = None
