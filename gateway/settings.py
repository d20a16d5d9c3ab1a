"""The gateway's settings: what an operator can set by environment variables.

Each line of ``Settings`` declares one setting: its variable, its check, its default and its meaning. The environment
is read once, at the start; a bad value stops the start and names its variable.

No variable begins with GATEWAY_PORT, GATEWAY_SERVICE, MODEL_SERVER_PORT or MODEL_SERVER_SERVICE: Kubernetes sets such
variables itself for Services called gateway and model-server.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from brain_tumor.calls import MAX_IMAGES
from brain_tumor.contract import MODEL_NAME
from gateway.setting_types import (
    Network,
    address,
    addresses,
    boolean,
    file,
    future_file,
    integer,
    networks,
    one_of,
    optional_address,
    optional_addresses,
    optional_word,
    origins,
    ports,
    seconds,
    url_path,
    word,
)

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("plain", "json")
T = TypeVar("T")


class SettingsError(ValueError):
    """A variable of the environment that cannot be used; the message names it."""


def setting(variable: str, parse: Callable[[str], T], default: str, meaning: str) -> T:
    """Declare a field of ``Settings``.

    Args:
        variable: Name of the environment variable.
        parse: Checks the variable's text and gives the value; one of ``gateway.setting_types``.
        default: Text that stands for a variable that is missing or empty.
        meaning: What the setting does and its unit, for the table of settings.
    """
    declaration = {"variable": variable, "parse": parse, "default": default, "meaning": meaning}
    return field(default=parse(default), metadata=declaration)


@dataclass(frozen=True)
class Settings:
    """The values of all settings; ``Settings()`` holds the defaults."""

    bind: str = setting(
        "GATEWAY_BIND", address, "[::]:9696", "address and port to listen on; [::] is every address, of IPv4 too"
    )
    admin_bind: str = setting(
        "GATEWAY_ADMIN_BIND",
        optional_address,
        "",
        "address and port for probes and metrics, which then have no other; empty: they are at GATEWAY_BIND too",
    )
    model_server: str = setting(
        "MODEL_SERVER_ADDRESS", addresses, "localhost:8500", "the model server's gRPC API; every address of it is used"
    )
    model_name: str = setting("MODEL_NAME", str, MODEL_NAME, "the model to ask for")
    version_label: str = setting(
        "MODEL_VERSION_LABEL", optional_word, "", "version label to ask for; empty: the newest version"
    )
    canary_server: str = setting(
        "CANARY_SERVER_ADDRESS",
        optional_addresses,
        "",
        "gRPC API of a second model server, which has the next model on trial (canary.md); empty: there is none",
    )
    canary_version_label: str = setting(
        "CANARY_VERSION_LABEL",
        optional_word,
        "",
        "version label of the model on trial; without CANARY_SERVER_ADDRESS a version of the first model server",
    )
    canary_file: Path | None = setting(  # noqa: RUF009 - makes a field
        "GATEWAY_CANARY_FILE",
        future_file,
        "",
        "file that says how many requests the model on trial gets, read again when it changes; without one none",
    )
    deadline: float = setting(
        "GATEWAY_DEADLINE_SECONDS", seconds, "10", "seconds for one response, from the moment its request is received"
    )
    header_timeout: float = setting(
        "GATEWAY_HEADER_SECONDS", seconds, "10", "seconds for a client to send a request's headers"
    )
    upload_timeout: float = setting(
        "GATEWAY_UPLOAD_SECONDS", seconds, "30", "seconds for a client to send a request's body"
    )
    write_timeout: float = setting("GATEWAY_WRITE_SECONDS", seconds, "30", "seconds for a client to take a response")
    idle_timeout: float = setting(
        "GATEWAY_IDLE_SECONDS",
        seconds,
        "75",
        "seconds that a connection is kept without a request; above a load balancer's idle timeout (60)",
    )
    connection_age: float = setting(
        "GATEWAY_CONNECTION_SECONDS", seconds, "30", "seconds before a client must connect anew, to find new replicas"
    )
    linger_timeout: float = setting(
        "GATEWAY_LINGER_SECONDS",
        seconds,
        "10",
        "seconds for a client to close after the last response; what it still sends is read and dropped",
    )
    max_connections: int = setting(
        "GATEWAY_MAX_CONNECTIONS",
        integer(2, 60000),
        "2000",
        "open connections; for one more, the one goes that keeps most for longest in silence",
    )
    max_held: int = setting(
        "GATEWAY_MAX_HELD_BYTES",
        integer(1 << 20, 1 << 36),
        "134217728",
        "bytes of requests and responses in memory; above, who keeps most for longest in silence gets status 503",
    )
    max_in_flight: int = setting(
        "GATEWAY_MAX_IN_FLIGHT",
        integer(1, 1000),
        "16",
        "requests worked on at a time; others wait while their deadline leaves room, then get status 503",
    )
    max_fetches: int = setting(
        "GATEWAY_MAX_FETCHES", integer(1, 100), "4", "requests that fetch images by URL at a time"
    )
    decoders: int = setting(
        "GATEWAY_DECODERS",
        integer(1, 64),
        "2",
        "images decoded at a time; each may take 18 bytes of memory a pixel, rarer formats in a process of their own",
    )
    max_body: int = setting(
        "GATEWAY_MAX_BODY_BYTES", integer(1024, 1 << 30), "20971520", "bytes of a request, and of an image at a URL"
    )
    # Pillow refuses above 178,956,970 pixels.
    max_pixels: int = setting(
        "GATEWAY_MAX_PIXELS",
        integer(1024, 1 << 27),
        "16777216",
        "pixels of an image in memory; a JPEG that is not progressive may have four times as many",
    )
    max_images: int = setting("GATEWAY_MAX_IMAGES", integer(1, 1000), str(MAX_IMAGES), "images in a request")
    url_fetch: bool = setting("GATEWAY_URL_FETCH", boolean, "true", "whether images are fetched by URL at all")
    url_timeout: float = setting("GATEWAY_URL_SECONDS", seconds, "5", "seconds for one fetch, with its redirects")
    url_ports: frozenset[int] = setting("GATEWAY_URL_PORTS", ports, "80,443", "ports that a URL may name")
    url_allowed_networks: tuple[Network, ...] = setting(
        "GATEWAY_URL_ALLOWED_NETWORKS",
        networks,
        "",
        "networks (CIDR) that a URL may lead to though they are not public",
    )
    url_ca_file: Path | None = setting(  # noqa: RUF009 - makes a field
        "GATEWAY_URL_CA_FILE", file, "", "file of certificate authorities to trust for URLs, instead of the usual ones"
    )
    root_path: str = setting(
        "GATEWAY_ROOT_PATH",
        url_path,
        "",
        "path below which clients find the service, such as /brain-tumor, whether a proxy in front takes it off or not",
    )
    trusted_hops: int = setting(
        "GATEWAY_TRUSTED_HOPS",
        integer(0, 10),
        "0",
        "proxies in front whose X-Forwarded-Prefix, -Proto and -Host count; 0: none, anybody could send them",
    )
    keys_file: Path | None = setting(  # noqa: RUF009 - makes a field
        "GATEWAY_KEYS_FILE", file, "", "file of the keys that callers must have (keys.md); empty: anybody may call"
    )
    cors_origins: frozenset[str] = setting(
        "GATEWAY_CORS_ORIGINS",
        origins,
        "",
        "origins of other sites whose pages may call; * is all of them",
    )
    log_level: str = setting("GATEWAY_LOG_LEVEL", one_of(*LOG_LEVELS), "info", f"one of {', '.join(LOG_LEVELS)}")
    log_format: str = setting("GATEWAY_LOG_FORMAT", one_of(*LOG_FORMATS), "plain", f"one of {', '.join(LOG_FORMATS)}")
    revision: str = setting(
        "GATEWAY_REVISION", word, "unknown", "commit that the gateway was built from, for metrics; our image sets it"
    )

    @property
    def has_canary(self) -> bool:
        """Whether there is a model on trial."""
        return bool(self.canary_server or self.canary_version_label)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings from an environment; a variable that is missing or empty leaves its default.

        Raises:
            SettingsError: A value is malformed or out of range.
        """
        values: dict[str, Any] = {}
        for declared in fields(cls):
            variable = declared.metadata["variable"]
            if text := environ.get(variable, "").strip():
                try:
                    values[declared.name] = declared.metadata["parse"](text)
                except ValueError as error:
                    raise SettingsError(f"{variable}={text!r}: {error}") from None
        return cls(**values)


VARIABLES = {declared.name: str(declared.metadata["variable"]) for declared in fields(Settings)}  # by field


def markdown_table() -> str:
    """All settings as a Markdown table, as docs/settings.md holds it between its two markers."""
    lines = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for declared in fields(Settings):
        variable, default, meaning = (declared.metadata[key] for key in ("variable", "default", "meaning"))
        lines.append(f"| `{variable}` | {f'`{default}`' if default else ''} | {meaning} |")
    return "\n".join(lines) + "\n"
