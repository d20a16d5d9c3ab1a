"""A network namespace without a way out: what a gateway fetches for its clients leads nowhere else."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator

NETWORK = "198.51.100.0/24"  # for documentation (RFC 5737): in the namespace these addresses are this machine's
DEAD_HOST = "198.51.100.7"
_INSIDE = "EDGE_BENCHMARK_NAMESPACE"


def enter() -> None:
    """Run the command line again in a namespace of its own, where only loopback is up."""
    if os.environ.get(_INSIDE):
        for command in ("link set lo up", f"address add {DEAD_HOST}/24 dev lo"):
            subprocess.run(["ip", *command.split()], check=True)
        return
    if not shutil.which("unshare") or not shutil.which("ip"):
        sys.exit(
            "The benchmark runs in a network namespace of its own: it needs unshare (util-linux) and ip (iproute2)."
        )
    command = ["unshare", "--net", "--map-root-user", sys.executable, "-m", "benchmarks.edge", *sys.argv[1:]]
    os.execvpe(command[0], command, {**os.environ, _INSIDE: "1"})


@contextlib.contextmanager
def dead_host() -> Iterator[None]:
    """Make port 80 of ``DEAD_HOST`` a host that does not respond: its queue is full, and it ignores who else comes."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind((DEAD_HOST, 80))
        listener.listen(0)
        for _ in range(4):
            client = sockets.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex((DEAD_HOST, 80))
        yield
