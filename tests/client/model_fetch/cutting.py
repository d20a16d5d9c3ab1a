"""A way to a server that is cut: connections end after some bytes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_ENDLESS = 1 << 40


@contextmanager
def cut_way(url: str, cuts: list[int]) -> Iterator[str]:
    """The URL of another port of this machine, which leads to the server.

    Args:
        url: Where the server is.
        cuts: How many bytes each connection brings back, in their order; later ones bring all.
    """
    target = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, (target.hostname, target.port), list(cuts)))
        thread.start()
        host, port = listener.getsockname()
        yield f"http://{host}:{port}"
        listener.shutdown(socket.SHUT_RDWR)  # which ends the wait for a connection
        thread.join()


def _serve(listener: socket.socket, target: tuple[str, int], cuts: list[int]) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client, socket.create_connection(target) as server:
            up = threading.Thread(target=_copy, args=(client, server, _ENDLESS))
            up.start()
            _copy(server, client, cuts.pop(0) if cuts else _ENDLESS)
            for end in (client, server):
                _shut(end)
            up.join()


def _copy(source: socket.socket, sink: socket.socket, count: int) -> None:
    with suppress(OSError):
        while count and (data := source.recv(min(65536, count))):
            sink.sendall(data)
            count -= len(data)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
