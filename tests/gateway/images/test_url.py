import pytest

from gateway.images.url import MAX_URL_LENGTH, HttpUrl, UrlRefused, parse_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://example.com", HttpUrl("http", "example.com", 80, "/")),
        ("  HTTPS://Example.COM:443/a.png ", HttpUrl("https", "example.com", 443, "/a.png")),
        ("http://example.com:8080?a=b#c", HttpUrl("http", "example.com", 8080, "/?a=b")),
        ("http://example.com./", HttpUrl("http", "example.com.", 80, "/")),
        ("http://[2001:db8::1]:8080/a", HttpUrl("http", "2001:db8::1", 8080, "/a")),
        ("http://bücher.example/ä b.png?ü", HttpUrl("http", "xn--bcher-kva.example", 80, "/%C3%A4%20b.png?%C3%BC")),
        ("http://\uff11\uff12\uff17.1/", HttpUrl("http", "127.1", 80, "/")),  # which the check of addresses refuses
        # What a cloud has signed stays as it is; a percent sign that begins no code becomes one.
        ("https://a.example/k%2Fy~*'(1)?s=a%2Bb+c/d==&x=1%2c2", None),
        ("http://example.com/100%/a%zz", HttpUrl("http", "example.com", 80, "/100%25/a%25zz")),
    ],
)
def test_a_url_is_taken_apart(text, url):
    if url is None:
        assert parse_url(text).text == text
    else:
        assert parse_url(text) == url


@pytest.mark.parametrize(
    ("text", "authority"),
    [
        ("http://example.com:80/", "example.com"),
        ("https://example.com:80/", "example.com:80"),
        ("https://[2001:db8::1]/", "[2001:db8::1]"),
        ("http://[2001:db8::1]:81/", "[2001:db8::1]:81"),
    ],
)
def test_authority(text, authority):
    assert parse_url(text).authority == authority


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com",
        "http:example.com",
        "http:///a",
        "http://[::1",
        "http://[example.com]/",
        "http://[v1.a]/",
        "http://exa%41mple.com/",
        "http://a b/",
        "http://a,b/",
        "http://127.0.0.2\\.example/",
        "http://example.com:0x50/",
        "http://example.com:99999/",
        "http://a/\r\nHost: b",
        "http://a/\tb",
        "http://a\x00/",
        "http://" + "a" * 64 + ".example/",
        "http://" + "a." * 150 + "example/",  # the conversion of long international names takes long
        "http://" + "\ufdfa" * 8000,
        "http://\ud800.com/",
        "http://a/\ud800",
        "file:///etc/passwd",
        "data:image/png;base64,aGk=",
    ],
    ids=ascii,
)
def test_what_is_no_url_to_fetch(text):
    with pytest.raises(UrlRefused, match="begins with http"):
        parse_url(text)


@pytest.mark.parametrize(
    "text", ["http://user:secret@a.example/", "http://user@a.example/", "http://a.example\\@b.example/"]
)
def test_user_names_are_refused(text):
    with pytest.raises(UrlRefused, match="user name") as caught:
        parse_url(text)
    assert "secret" not in str(caught.value)


def test_signed_urls_may_be_long():
    start = "https://a.example/?signature="
    assert parse_url(start + "a" * (MAX_URL_LENGTH - len(start))).port == 443
    assert parse_url("https://" + "a." * 123 + "example:443?b=//c").port == 443
    with pytest.raises(UrlRefused, match="8,192"):
        parse_url(start + "a" * MAX_URL_LENGTH)
