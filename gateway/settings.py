"""The gateway's settings, read once from the environment; a bad value stops the start and names its variable.

No name begins with GATEWAY_PORT, GATEWAY_SERVICE, MODEL_SERVER_PORT or MODEL_SERVER_SERVICE: Kubernetes sets such
variables itself for Services called gateway and model-server.
"""

import ipaddress
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

from brain_tumor.contract import MODEL_NAME

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("plain", "json")


class SettingsError(ValueError):
    """A variable of the environment that cannot be used; the message names it."""


@dataclass(frozen=True)
class Settings:
    """What an operator can set; ``VARIABLES`` gives the variable of each field.

    Attributes:
        bind: host:port that gunicorn listens on.
        threads: that answer requests; more than ``max_in_flight``, so that probes are answered under load.
        connection_age: seconds after which an answer closes its connection, so that the client meets other replicas.
        model_server: host:port of the model server's gRPC API, or a whole gRPC target such as ``ipv4:...``.
        model_name: the model to ask for.
        deadline: seconds for one answer, from the moment its request is read.
        upload_timeout: seconds for a client to send its request.
        max_body: bytes of one request, and of an image fetched by URL.
        max_pixels: of one image.
        max_images: in one request.
        max_in_flight: requests worked on at a time; further ones are answered 503 at once.
        decoders: images decoded at a time; bounds memory, and more than the CPUs gain nothing.
        url_fetch: whether images are fetched by URL at all.
        url_timeout: seconds for one fetch, with its redirects.
        url_ports: that a URL may name.
        url_allowed_networks: reachable by URL although they are not public.
        url_ca_file: certificate authorities to trust instead of the usual ones.
        log_level, log_format: one of ``LOG_LEVELS`` and of ``LOG_FORMATS``.
    """

    bind: str = "0.0.0.0:9696"
    threads: int = 24
    connection_age: float = 30.0
    model_server: str = "localhost:8500"
    model_name: str = MODEL_NAME
    deadline: float = 10.0
    upload_timeout: float = 30.0
    max_body: int = 20 << 20
    max_pixels: int = 1 << 24
    max_images: int = 16
    max_in_flight: int = 16
    decoders: int = 2
    url_fetch: bool = True
    url_timeout: float = 5.0
    url_ports: frozenset[int] = frozenset({80, 443})
    url_allowed_networks: tuple[Network, ...] = ()
    url_ca_file: Path | None = None
    log_level: str = "info"
    log_format: str = "plain"

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read ``VARIABLES``; one that is missing or empty leaves its default.

        Raises:
            SettingsError: a value that is malformed or out of range.
        """
        values: dict[str, Any] = {}
        for field in fields(cls):
            variable, parse = VARIABLES[field.name]
            if text := environ.get(variable, "").strip():
                try:
                    values[field.name] = parse(text)
                except ValueError as error:
                    raise SettingsError(f"{variable}={text!r}: {error}") from None
        settings = cls(**values)
        if settings.threads <= settings.max_in_flight:
            raise SettingsError(
                f"{VARIABLES['threads'][0]} is {settings.threads}: it must be more than "
                f"{VARIABLES['max_in_flight'][0]} ({settings.max_in_flight}), or probes wait behind predictions"
            )
        return settings


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low:,} to {high:,}")
        return int(text)

    return parse


def _seconds(text: str) -> float:
    message = "must be a number of seconds above 0, at most 600"
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError(message) from None
    if not (math.isfinite(seconds) and 0 < seconds <= 600):
        raise ValueError(message)
    return seconds


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text.lower()

    return parse


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError("must be host:port")
    return text


def _ports(text: str) -> frozenset[int]:
    try:
        return frozenset(_integer(1, 65535)(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"{error}; several are separated by commas") from None


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(","))


def _file(text: str) -> Path:
    if not Path(text).is_file():
        raise ValueError("there is no such file")
    return Path(text)


# field: (variable, how its text is read)
VARIABLES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "bind": ("GATEWAY_BIND", _address),
    "threads": ("GATEWAY_THREADS", _integer(2, 1000)),
    "connection_age": ("GATEWAY_CONNECTION_SECONDS", _seconds),
    "model_server": ("MODEL_SERVER_ADDRESS", _address),
    "model_name": ("MODEL_NAME", str),
    "deadline": ("GATEWAY_DEADLINE_SECONDS", _seconds),
    "upload_timeout": ("GATEWAY_UPLOAD_SECONDS", _seconds),
    "max_body": ("GATEWAY_MAX_BODY_BYTES", _integer(1024, 1 << 30)),
    "max_pixels": ("GATEWAY_MAX_PIXELS", _integer(1024, 1 << 27)),  # Pillow refuses above 178,956,970
    "max_images": ("GATEWAY_MAX_IMAGES", _integer(1, 1000)),
    "max_in_flight": ("GATEWAY_MAX_IN_FLIGHT", _integer(1, 999)),
    "decoders": ("GATEWAY_DECODERS", _integer(1, 64)),
    "url_fetch": ("GATEWAY_URL_FETCH", _boolean),
    "url_timeout": ("GATEWAY_URL_SECONDS", _seconds),
    "url_ports": ("GATEWAY_URL_PORTS", _ports),
    "url_allowed_networks": ("GATEWAY_URL_ALLOWED_NETWORKS", _networks),
    "url_ca_file": ("GATEWAY_URL_CA_FILE", _file),
    "log_level": ("GATEWAY_LOG_LEVEL", _one_of(LOG_LEVELS)),
    "log_format": ("GATEWAY_LOG_FORMAT", _one_of(LOG_FORMATS)),
}
