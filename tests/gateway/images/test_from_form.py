import base64

import pytest

from gateway.images.from_form import from_parts, from_urlencoded
from gateway.images.multipart import Part
from gateway.images.sent import BodyTooLarge, InvalidRequest, Sent, TooManyImages, Url
from tests.brain_tumor import images

IMAGE = images.GLIOMA
BASE64 = base64.b64encode(IMAGE).decode()


def file(name: str | None, data: bytes = IMAGE, filename: str | None = "a.png", media_type: str = "image/png") -> Part:
    return Part(name, filename, media_type, data)


def text(name: str, value: str, media_type: str = "") -> Part:
    return Part(name, None, media_type, value.encode())


def read(*parts: Part) -> Sent:
    return from_parts(parts, max_images=4)


@pytest.mark.parametrize("name", ["image", "file", "images", "files", "image[]", "files[]", "file[0]", "Image", None])
def test_fields_that_hold_images(name):
    assert read(file(name)).items == [IMAGE]


@pytest.mark.parametrize("filename", [None, "", "a.png"])
@pytest.mark.parametrize("media_type", ["", "text/plain", "application/octet-stream", "image/png"])
def test_a_file_needs_neither_a_name_nor_a_type(filename, media_type):
    assert read(file("image", IMAGE, filename, media_type)).items == [IMAGE]


def test_images_and_urls_in_the_order_of_the_parts():
    sent = read(
        text("url", " https://a.example/1 "),
        file("file"),
        text("comment", "x"),
        text("urls[]", "http://b"),
        file("image"),
    )
    assert sent == Sent([Url("https://a.example/1"), IMAGE, Url("http://b"), IMAGE], listed=True)


def test_options():
    sent = read(text("Explain", "1"), file("image"), text("page", " 3\r\n"), text("page", "4"))
    assert sent == Sent([IMAGE], listed=False, options={"explain": "1", "page": "3"})


def test_what_a_page_leaves_empty_does_not_count():
    # A page sends an empty part for a file that nobody chose.
    assert read(file("file", b"", ""), text("url", "http://a")).items == [Url("http://a")]
    assert read(file("image"), text("url", " ")).items == [IMAGE]
    assert read(file("image", b"", "empty.png")).items == [b""]  # this file is empty itself


@pytest.mark.parametrize("value", [BASE64, f"data:image/png;base64,{BASE64}"])
@pytest.mark.parametrize("media_type", ["", "text/plain"])
def test_a_text_field_that_holds_an_image(value, media_type):
    assert read(text("image", value, media_type)).items == [IMAGE]


def test_a_data_uri_in_a_field_for_urls():
    assert read(text("url", f"data:image/png;base64,{BASE64}")).items == [IMAGE]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (text("image", "scan.png"), "-F image=@FILE"),
        (text("image", "x" * 63), "-F image=@FILE"),
        (text("image", "data:image/png;base64,!"), "not valid base64"),
        (text("url", "data:image/png;base64"), "incomplete data URI"),
    ],
)
def test_an_image_that_cannot_be_read_is_only_its_own_problem(part, message):
    bad, good = read(part, file("image")).items
    assert isinstance(bad, InvalidRequest)
    assert message in str(bad)
    assert good == IMAGE


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((), "neither a file nor a URL"),
        ((text("comment", "x"),), "neither a file nor a URL"),
        ((file("image", b"", ""),), "neither a file nor a URL"),
        ((file("scan"),), 'no file in a field with the name "image"'),
    ],
)
def test_a_form_without_an_image(parts, message):
    with pytest.raises(InvalidRequest, match=message):
        read(*parts)


def test_limits():
    assert len(read(*[file("image")] * 4).items) == 4
    with pytest.raises(TooManyImages, match="4 images"):
        read(*[file("image")] * 5)
    with pytest.raises(TooManyImages, match="12 parts"):
        read(*[text("comment", "x")] * 13)
    with pytest.raises(BodyTooLarge, match="262,144 bytes"):
        read(text("comment", "x" * 262_145), file("image"))


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (
            b"url=https%3A%2F%2Fa.example%2F%3Fb%3Dc&explain=on",
            Sent([Url("https://a.example/?b=c")], False, {"explain": "on"}),
        ),
        (b"url=http://a&url=http://b&image=", Sent([Url("http://a"), Url("http://b")], True)),
        (b"image=" + BASE64.encode(), Sent([IMAGE], False)),
        (b"image=" + BASE64.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D").encode(), Sent([IMAGE], False)),
    ],
)
def test_urlencoded(body, sent):
    assert from_urlencoded(body, 4) == sent


def test_bad_urlencoded():
    for body in (b"", b"hello", b"&&&=;", b"url=", b"comment=x"):
        with pytest.raises(InvalidRequest, match="neither a file nor a URL"):
            from_urlencoded(body, 4)
    with pytest.raises(TooManyImages, match="12 parts"):
        from_urlencoded(b"a=b&" * 13, 4)
    with pytest.raises(TooManyImages, match="4 images"):
        from_urlencoded(b"&".join([b"url=http://a"] * 5), 4)
