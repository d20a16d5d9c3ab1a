import gzip
import logging
import socket

import pytest

from gateway.deadline import Deadline
from gateway.images import addresses
from gateway.images.from_url import SourceTooLarge, SourceTooSlow, SourceUnreachable
from gateway.images.url import MAX_URL_LENGTH, FetchError
from tests.brain_tumor import images
from tests.gateway.calls import check_problem
from tests.gateway.images.fetchers import LOOPBACK, fetcher
from tests.gateway.images.name_lookup import hanging_lookup, lookup_of
from tests.gateway.web_server import web_server


@pytest.fixture
def url_client(make_client, web):
    """A gateway that may reach 127.0.0.1 and the test server's port."""
    return make_client(
        url_allowed_networks=LOOPBACK, url_ports=frozenset({80, 443, web.port}), max_body=20_000, url_timeout=10.0
    )


def send(client, url: object):
    return client.post("/predict", json={"url": url})


def detail(client, url: str, status: int = 422) -> str:
    return str(check_problem(send(client, url), status)["detail"])


METADATA = [
    "169.254.169.254",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "[fd00:ec2::254]",
]
LOOPBACK_NOTATIONS = ["2130706433", "0177.0.0.1", "127.1", "0x7f.0.0.1", "localhost", "localhost."]
DISGUISED = [
    "0.0.0.0",
    "[::]",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b::7f00:1]",
    "[::127.0.0.1]",
    "[2002:7f00:1::]",
    "[fec0::1]",
    "[fe80::1%25lo]",
]


@pytest.mark.parametrize("host", METADATA + DISGUISED + LOOPBACK_NOTATIONS)
def test_inward_url_is_refused_and_tells_nothing(client, host):
    unknown_name = detail(client, "http://no-such-host.invalid/")
    assert detail(client, f"http://{host}/latest/meta-data/") == unknown_name
    assert detail(client, f"https://{host}/") == unknown_name


def test_a_closed_port_reads_like_a_refused_address(make_client):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, not listening
        port = free.getsockname()[1]
        client = make_client(url_allowed_networks=LOOPBACK, url_ports=frozenset({80, port}))
        assert detail(client, f"http://127.0.0.1:{port}/") == detail(client, "http://169.254.169.254/")


def test_loopback_is_not_even_connected_to(make_client, web):
    url = web.serve("/scan.png", images.GLIOMA)
    detail(make_client(url_ports=frozenset({web.port})), url)
    assert web.requests == []


@pytest.mark.parametrize("host", METADATA + DISGUISED)
def test_redirect_inwards_is_refused(url_client, web, host):
    detail(url_client, web.serve("/moved", b"", 302, Location=f"http://{host}/"))
    assert len(web.requests) == 1


def test_redirect_to_another_local_server_does_not_reach_it(url_client, web):
    with web_server("127.0.0.2", port=web.port) as inner:
        secret = inner.serve("/secret.png", images.GLIOMA)
        detail(url_client, web.serve("/moved", b"", 302, Location=secret))
        assert inner.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_to_a_permitted_place_is_followed(url_client, web, status):
    web.serve("/scan.png", images.MENINGIOMA)
    response = send(url_client, web.serve("/moved", b"moved", status, Location="/scan.png"))
    assert response.get_json()["class"] == "meningioma"
    assert [path for path, _ in web.requests] == ["/moved", "/scan.png"]


def test_three_redirects_and_no_more(url_client, web):
    web.serve("/0", images.GLIOMA)
    for step in range(1, 5):
        web.serve(f"/{step}", b"", 302, Location=f"/{step - 1}")
    assert send(url_client, web.url("/3")).status_code == 200
    assert "3 times" in detail(url_client, web.url("/4"))
    assert "3 times" in detail(url_client, web.serve("/loop", b"", 302, Location="/loop"))


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "ftp://127.0.0.1/a",
        "data:image/png;base64,aGk=",
        "//",
        "http://",
        "",
    ],
)
def test_redirect_to_another_scheme(url_client, web, target):
    detail(url_client, web.serve("/moved", b"", 302, Location=target))


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "gopher://example.com/",
        "ftp://example.com/a.png",
        "javascript:1",
        "dict://127.0.0.1:11211/stat",
        "//example.com/a.png",
        "/etc/passwd",
        "example.com/a.png",
        "http:example.com",
        "http://",
        "http:///a.png",
        "http://[",
        "http://[::1",
        "http://a b/",
        "http://example.com:port/",
        "http://example.com:99999/",
        "http://127.0.\r0.2/",
        "http://127.0.0.2\\@127.0.0.1/",
        "http://\ud800.com/",
        "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",  # full-width digits
        "http://127\u30020\u30020\u30021/",  # ideographic full stops
        "x" * 10,
    ],
    ids=ascii,
)
def test_what_is_no_url_to_fetch(client, url):
    detail(client, url)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://user:secret@example.com/", "password"),
        ("http://user@example.com/", "password"),
        ("http://example.com:8080/", "80, 443"),
        ("https://example.com:22/", "80, 443"),
        ("http://example.com/" + "a" * MAX_URL_LENGTH, "longer"),
    ],
)
def test_a_refusal_tells_what_to_change(client, url, text):
    message = detail(client, url)
    assert text in message
    assert "secret" not in message


def test_url_fetch_can_be_turned_off(make_client, web):
    client = make_client(url_fetch=False, url_allowed_networks=LOOPBACK, url_ports=frozenset({web.port}))
    assert "does not fetch" in detail(client, web.serve("/scan.png", images.GLIOMA))
    assert web.requests == []


@pytest.mark.parametrize("status", [404, 401, 403, 500, 204, 304, 206])
def test_status_without_an_image(url_client, web, status):
    assert str(status) in detail(url_client, web.serve("/gone", b"", status))


def test_not_an_image(url_client, web):
    detail(url_client, web.serve("/page", b"<html>hello</html>", Content_Type="image/png"), 415)
    detail(url_client, web.serve("/nothing", b""), 400)


def test_image_cut_short_by_its_server(url_client, web):
    data = images.encode(images.noise())

    def cut(handler) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data[:1000])

    web.routes["/cut"] = cut
    detail(url_client, web.url("/cut"))


def test_chunked_image(url_client, web):
    def chunked(handler) -> None:
        handler.close_connection = True
        body = b"".join(b"%x\r\n%b\r\n" % (1, bytes([byte])) for byte in images.GLIOMA)
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n")

    web.routes["/chunked"] = chunked
    assert send(url_client, web.url("/chunked")).get_json()["class"] == "glioma"


def test_too_large_by_its_length(url_client, web):
    detail(url_client, web.serve("/large", bytes(20_001)), 413)


@pytest.mark.parametrize(
    ("header", "drop"),
    [(b"", bytes(1000)), (b"Transfer-Encoding: chunked\r\n", b"3e8\r\n" + bytes(1000) + b"\r\n")],
)
def test_too_large_without_a_length(web, header, drop):
    with pytest.raises(SourceTooLarge):
        fetcher(web).fetch(web.drip("/endless", b"HTTP/1.1 200 OK\r\n" + header + b"\r\n", drop), Deadline(60))


def test_gzip_bomb_is_not_inflated(url_client, web):
    bomb = gzip.compress(bytes(5_000_000))
    assert len(bomb) < 20_000
    assert "compressed" in detail(url_client, web.serve("/bomb", bomb, Content_Encoding="gzip"))
    assert web.requests[0][1]["Accept-Encoding"] == "identity"


def test_redirect_with_an_endless_body_is_not_read(web):
    web.serve("/scan.png", images.GLIOMA)
    start = b"HTTP/1.1 302 Found\r\nLocation: /scan.png\r\n\r\n"
    assert fetcher(web).fetch(web.drip("/moved", start, bytes(1000)), Deadline(60)) == images.GLIOMA


def test_slow_name_server_ends_with_the_timeout(web):
    with pytest.raises(SourceTooSlow), hanging_lookup() as lookup:
        fetcher(web, lookup=lookup, timeout=0.2).fetch(web.url("/", "images.example"), Deadline(60))


def test_too_many_lookups_that_hang(web, monkeypatch):
    monkeypatch.setattr(addresses, "MAX_LOOKUPS", 0)
    with pytest.raises(SourceTooSlow, match="Try again later, or send the image itself"):
        fetcher(web).fetch(web.url("/", "images.example"), Deadline(60))


def test_a_name_that_changes_its_address_is_looked_up_once(web):
    # DNS rebinding: the first address is permitted, every later one would lead into our network.
    addresses = iter(["127.0.0.1"])
    hosts = []

    def lookup(host: str, port: int, **options: object):
        hosts.append(host)
        return lookup_of(next(addresses, "127.0.0.2"))(host, port)

    web.serve("/scan.png", images.GLIOMA)
    url = web.url("/scan.png", "images.example")
    assert fetcher(web, lookup=lookup).fetch(url, Deadline(60)) == images.GLIOMA
    assert hosts == ["images.example"]
    assert web.requests[0][1]["Host"] == f"images.example:{web.port}"


def test_a_redirect_looks_the_name_up_again(web):
    addresses = iter(["127.0.0.1"])

    def lookup(host: str, port: int, **options: object):
        return lookup_of(next(addresses, "127.0.0.2"))(host, port)

    web.serve("/scan.png", images.GLIOMA)
    web.serve("/moved", b"", 302, Location="/scan.png")
    with pytest.raises(SourceUnreachable):
        fetcher(web, lookup=lookup).fetch(web.url("/moved", "images.example"), Deadline(60))
    assert [path for path, _ in web.requests] == ["/moved"]


def test_what_is_sent(web):
    web.serve("/scan.png", images.GLIOMA, Set_Cookie="a=b")
    web.serve("/moved", b"", 302, Location="/scan.png", Set_Cookie="a=b")
    fetcher(web).fetch(web.url("/moved"), Deadline(60))
    for _, headers in web.requests:
        assert set(headers) == {"Host", "Accept", "Accept-Encoding", "User-Agent", "Connection"}
        assert headers["User-Agent"].startswith("brain-tumor-gateway/")


def test_proxies_of_the_environment_are_not_used(web, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert fetcher(web).fetch(web.serve("/scan.png", images.GLIOMA), Deadline(60)) == images.GLIOMA


def test_nothing_of_a_url_is_logged(web, caplog):
    caplog.set_level(logging.DEBUG)
    web.serve("/moved-doe", b"", 302, Location="/patient-doe.png")
    web.serve("/patient-doe.png", images.GLIOMA, Broken_Header="a\r\nbad header doe")
    for url in (web.url("/moved-doe"), "http://doe.invalid/doe", "http://169.254.169.254/doe", web.url("/doe")):
        try:
            fetcher(web).fetch(url, Deadline(60))
        except FetchError as error:
            assert "doe" not in str(error)
    assert caplog.text == ""
