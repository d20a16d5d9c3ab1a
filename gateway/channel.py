"""The gRPC channel to the model server's replicas, with the settings that make it balance, retry and recover."""

import json

import grpc

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
RETRY_BUFFER = 8 << 20  # bytes; a larger request is not retried, and the default is smaller than a picture
OPTIONS = [
    # The model server is inside the network; a proxy in the environment is for what is outside.
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.per_rpc_retry_buffer_size", RETRY_BUFFER),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.max_receive_message_length", 64 << 20),
    # A replica that appears or returns is found within seconds; the defaults are 30 s and 120 s.
    ("grpc.dns_min_time_between_resolutions_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # A peer that vanished without a word is noticed while a call waits. Pings only then: a server takes more of
    # them for an attack (its grpc.http2.min_ping_interval_without_data_ms is 5 minutes).
    ("grpc.keepalive_time_ms", 5000),
    ("grpc.keepalive_timeout_ms", 3000),
    ("grpc.keepalive_permit_without_calls", 0),
]


def open_channel(server: str) -> grpc.Channel:
    """A channel to ``host:port``, every address of it, or to a whole gRPC target; connects on the first call."""
    target = server if server.startswith(("dns:", "ipv4:", "ipv6:")) else f"dns:///{server}"
    return grpc.insecure_channel(target, options=OPTIONS)
