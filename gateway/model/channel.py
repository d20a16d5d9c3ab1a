"""The gRPC channel to one replica of the model server, and what is known about this replica."""

import random
from typing import Any, Protocol

import grpc
import grpc.experimental

from serving_api.messages import PredictResponse
from serving_api.services import PREDICTION_SERVICE
from tracing.spans import Headers

RETRY_BUFFER = 8 << 20  # bytes; gRPC sends a larger request no second time, and the default is smaller than an image
OPTIONS = [
    # The model server is inside the network; a proxy in the environment is for what is outside.
    ("grpc.enable_http_proxy", 0),
    # gRPC itself sends a call again only where it knows that no server has begun it, as when a connection reaches its
    # maximum age. Everything else is decided in connection.py, which can choose another replica.
    ("grpc.per_rpc_retry_buffer_size", RETRY_BUFFER),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.max_receive_message_length", 64 << 20),
    # A replica that returns is found within a second; the default is 120 s.
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Despite its name also how long one attempt to connect may take, 20 s by default. A call waits for it, and a
    # replica that is gone may not even refuse.
    ("grpc.min_reconnect_backoff_ms", 500),
    # What was sent to a peer must be acknowledged within the timeout (it becomes TCP_USER_TIMEOUT), so a connection
    # whose packets vanish ends then. Pings are sent only while a call waits, and seldom: a server takes many for an
    # attack, unless its grpc.http2.min_ping_interval_without_data_ms allows them.
    ("grpc.keepalive_time_ms", 5000),
    ("grpc.keepalive_timeout_ms", 2000),
    ("grpc.keepalive_permit_without_calls", 0),
    # A new channel makes a connection of its own, instead of sharing another's and its waits between attempts.
    ("grpc.use_local_subchannel_pool", 1),
    # A call is waited for in the thread that makes it, and another thread can cancel it. Calls by .future() can be
    # cancelled too, but each starts a thread: 0.20 ms of CPU more than a call that cannot be cancelled, this 0.06 ms.
    (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),
]
METHOD = f"{PREDICTION_SERVICE.full_name}/Predict"


class Cancellable(Protocol):
    """A call under way."""

    def cancel(self) -> object:
        """End the call now."""


class Replica:
    """One replica: its channel, and what its calls say about it. ``Replicas`` guards the attributes by its lock.

    Args:
        target: Its address as a gRPC target, such as ``ipv4:10.0.0.1:8500``.

    Attributes:
        target: The same.
        place: Its place in the order in which requests are sent to replicas, at random: gateways that went through them
            in one order would meet at the same replica again and again.
        in_service: Whether requests are sent to it, as long as one replica is in service.
        ejections: How often its calls under way were cancelled, so that they could go to another replica.
        misses: How many calls, since its last response, another replica responded to after this one had not.
        calls: The calls under way.
        trying: Whether a trial is under way.
        pause: Seconds from its next failure to the trial that follows.
        next_trial: When it is tried again, if it is not in service; monotonic seconds.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.place = random.random()  # noqa: S311 - nothing secret
        self.in_service = True
        self.ejections = 0
        self.misses = 0
        self.calls: set[Cancellable] = set()
        self.trying = False
        self.pause = 0.0
        self.next_trial = 0.0
        self._channel = grpc.insecure_channel(target, options=OPTIONS)
        # Predict has one response. As a stream of one it is the same on the wire, and this call can be cancelled.
        self._predict = self._channel.unary_stream(f"/{METHOD}", response_deserializer=PredictResponse.FromString)
        self._try = self._channel.unary_unary(f"/{METHOD}")

    def start(self, request: bytes, seconds: float, metadata: Headers | None = None) -> Any:
        """Begin a call with a serialised PredictRequest; its responses, one, are waited for by iterating over it."""
        return self._predict(request, timeout=seconds, metadata=metadata)

    def start_trial(self, request: bytes, seconds: float) -> Any:
        """Begin a call as a future, for which no thread waits."""
        return self._try.future(request, timeout=seconds)

    def close(self) -> None:
        """End the connection, and the calls under way. A replica that is only forgotten ends with its last call."""
        self._channel.close()
