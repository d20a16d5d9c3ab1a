"""One request to a web server and its response, within a deadline that no server stretches by silence or byte by byte.

The socket's timeout is set anew before each operation, to what is left of the deadline. When the client leaves, its
deadline's ``on_cancel`` closes the connection, which ends the operation that waits.
"""

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

import h11

from gateway.deadline import Deadline
from gateway.images.url import HttpUrl

_RECEIVE_BYTES = 64 << 10
_MAX_ADDRESSES = 4  # of one name


class Exchange:
    """A request that was sent, and the response to it.

    Attributes:
        response: Status and headers of the response.
    """

    def __init__(self, connection: socket.socket, url: HttpUrl, headers: dict[str, str], deadline: Deadline) -> None:
        self._socket = connection
        self._deadline = deadline
        self._http = h11.Connection(our_role=h11.CLIENT)
        head = h11.Request(method="GET", target=url.target, headers=[("Host", url.authority), *headers.items()])
        request = (self._http.send(head) or b"") + (self._http.send(h11.EndOfMessage()) or b"")
        connection.settimeout(deadline.remaining())
        connection.sendall(request)
        event = self._next_event()
        while isinstance(event, h11.InformationalResponse):
            event = self._next_event()
        if not isinstance(event, h11.Response):
            raise h11.RemoteProtocolError("no response")
        self.response = event

    def header(self, name: str) -> str:
        """The value of a header, by its name in lower case; an empty text where there is none."""
        values = [value for key, value in self.response.headers if key == name.encode()]
        return values[0].decode("utf-8", "replace").strip() if values else ""

    def body(self) -> Iterator[bytes]:
        """Receive the body in pieces; an incomplete one is an error."""
        while isinstance(event := self._next_event(), h11.Data):
            yield bytes(event.data)
        if not isinstance(event, h11.EndOfMessage):
            raise h11.RemoteProtocolError("the response has no end")

    def _next_event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._socket.settimeout(self._deadline.remaining())
            self._http.receive_data(self._socket.recv(_RECEIVE_BYTES))
        return event


@contextmanager
def exchange(
    url: HttpUrl, addresses: Sequence[str], headers: dict[str, str], tls: ssl.SSLContext, deadline: Deadline
) -> Iterator[Exchange]:
    """Send a request to the first of the addresses that takes the connection, and receive the head of the response.

    Args:
        url: What to ask for. Its host is the name for TLS and the header Host, and is not looked up here.
        addresses: Where to connect, in order.
        headers: Headers besides Host.
        tls: For https.
        deadline: Ends everything, the reading of the body too.

    Raises:
        DeadlineExceeded, TimeoutError: The deadline passed.
        ClientLeft: Nobody waits for it.
        OSError: No address takes the connection, the certificate is refused, or the connection broke.
        h11.RemoteProtocolError: The response is no HTTP.
    """
    with _connect(addresses[:_MAX_ADDRESSES], url.port, deadline) as connection:
        if url.scheme == "http":
            with deadline.on_cancel(partial(_hang_up, connection)):
                yield Exchange(connection, url, headers, deadline)
            return
        secure = tls.wrap_socket(connection, server_hostname=url.host.rstrip("."), do_handshake_on_connect=False)
        with secure, deadline.on_cancel(partial(_hang_up, secure)):
            secure.settimeout(deadline.remaining())
            secure.do_handshake()
            yield Exchange(secure, url, headers, deadline)


def _connect(addresses: Sequence[str], port: int, deadline: Deadline) -> socket.socket:
    """Connect to the first address that can be connected to.

    The last one may use up the time that is left; each before it only its share, so that one that never responds
    leaves time for the others and for the response.
    """
    for left in range(len(addresses), 0, -1):
        address = addresses[-left]
        connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            with deadline.on_cancel(partial(_hang_up, connection)):
                seconds = deadline.remaining()
                connection.settimeout(seconds if left == 1 else seconds / (left + 1))
                connection.connect((address, port))
            return connection
        except OSError:
            connection.close()
            if left == 1:
                raise
        except BaseException:
            connection.close()
            raise
    raise OSError("no address")


def _hang_up(connection: socket.socket) -> None:
    """End what waits on a connection in another thread."""
    with suppress(OSError):
        # Not SSLSocket's own shutdown, which would let a reader go on without TLS.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
