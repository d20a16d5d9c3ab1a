"""The crowd behind nginx and behind Caddy: a refusal must reach the client as what it is."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.edge import uploads
from benchmarks.edge.crowding import DEADLINE, capacity, press
from benchmarks.edge.servers import gateway, model_server
from brain_tumor.processes import ROOT, free_port, listens, running, wait_until_up

CADDY = ROOT / ".tools" / "caddy"
_SIZES = ("0.5 MB", "4 MB")
_NGINX = """
user root; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_max_body_size 30m; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream gateway {{ server 127.0.0.1:{upstream}; {pool} }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://gateway; proxy_request_buffering {buffering}; {version} }}
  }}
}}
"""
_KEPT = {"pool": "keepalive 32;", "version": 'proxy_http_version 1.1; proxy_set_header Connection "";'}
_OLD = {"pool": "", "version": "proxy_http_version 1.0;"}
NGINX = {
    "nginx, buffered, HTTP/1.0": {"buffering": "on", **_OLD},
    "nginx, buffered, kept": {"buffering": "on", **_KEPT},
    "nginx, unbuffered, HTTP/1.0": {"buffering": "off", **_OLD},
    "nginx, unbuffered, kept": {"buffering": "off", **_KEPT},
}
_CADDYFILE = """
{{
  admin off
  auto_https off
}}
http://:{port} {{
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:{upstream} {{
    {options}
  }}
}}
"""
CADDYFILES = {
    "Caddy, unbuffered, kept": "",
    "Caddy, buffered, kept": "request_buffers 8MiB",
    "Caddy, unbuffered, a connection each": "transport http {\n keepalive off\n }",
}


def play(log: Path, seconds: float, folder: Path, command: Sequence[str] = ()) -> None:
    """Print the table.

    Args:
        log: The file of the servers' output.
        seconds: Of each run.
        folder: For the proxies' files.
        command: Starts the gateway, where it is not this checkout's.
    """
    print("| proxy | images | offered | outcomes | no response | 200 p50, p99 | 503 p50, p99 | /livez p99 |")
    print("| --- " * 8 + "|", flush=True)
    for size in _SIZES:
        for name in [*NGINX, *CADDYFILES]:
            with model_server() as model, gateway(model, log, command, GATEWAY_DEADLINE_SECONDS=DEADLINE) as server:
                offered = 2 * asyncio.run(capacity(server.port, uploads.post(uploads.image(size)), 3))
                with _proxy(name, server.port, folder, log) as port:
                    if port == 0:
                        print(f"| {name} | it is not there: see benchmarks/edge/proxies.py |" + " |" * 6, flush=True)
                        continue
                    line = asyncio.run(press(port, size, offered, seconds, probed=server.port))
                    print(f"| {name} | {size} | {offered:.0f}/s | {line}", flush=True)


@contextlib.contextmanager
def _proxy(name: str, upstream: int, folder: Path, log: Path) -> Iterator[int]:
    """Run a proxy before this port, and give its own; 0 where its program is not installed.

    nginx is Debian's package; Caddy is built into .tools with
    ``GOBIN=$PWD/.tools go install github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9``.
    """
    port = free_port()
    configuration = folder / "proxy.conf"
    if name in NGINX:
        configuration.write_text(_NGINX.format(port=port, upstream=upstream, folder=folder, **NGINX[name]))
        program, arguments = shutil.which("nginx", path="/usr/sbin:" + os.environ["PATH"]), ["-c", str(configuration)]
    else:
        configuration.write_text(_CADDYFILE.format(port=port, upstream=upstream, options=CADDYFILES[name]))
        program = str(CADDY) if CADDY.exists() else None
        arguments = ["run", "--adapter", "caddyfile", "--config", str(configuration)]
    if program is None:
        yield 0
        return
    environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with log.open("ab") as output, running([program, *arguments], environment, output) as process:
        wait_until_up(process, lambda: listens(port), 20)
        yield port
