"""What the log of a gateway holds after images that tell much about themselves, at the level debug."""

import base64
import json
import struct
from pathlib import Path

import pytest
from PIL import Image, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

from tests.brain_tumor import images
from tests.gateway.fake_model_server import fake_model_server, wait_for
from tests.gateway.gateway_process import GatewayProcess, gateway_process

NAME = "doe-jane"  # planted wherever an image or a request has room for text
ARTIST, BITS, SAMPLES, UNKNOWN = 315, 258, 277, 65000  # tags of TIFF and EXIF


def with_exif(kind: str) -> bytes:
    exif = Image.Exif()
    exif[ARTIST] = exif[UNKNOWN] = NAME
    return images.encode(images.noise(), kind, exif=exif)


def png() -> bytes:
    text = PngInfo()
    text.add_text(f"{NAME}-key", NAME)
    text.add_text("zipped", NAME, zip=True)
    text.add_itxt("XML:com.adobe.xmp", NAME)
    text.add(b"deID", NAME.encode())
    return images.encode(images.noise(), "PNG", pnginfo=text, icc_profile=NAME.encode())


def tiff(compression: str | None = None, **tags: object) -> bytes:
    """A TIFF with text in its tags; ``tags`` are further ones, by "t" and their number."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[ARTIST] = info[UNKNOWN] = NAME
    for tag, value in tags.items():
        info[int(tag[1:])] = value
    return images.encode(images.noise(), "TIFF", tiffinfo=info, compression=compression)


def patched(data: bytes, tag: int, kind: int, count: int, value: int) -> bytes:
    """A TIFF whose entry for this tag claims this type, count and value."""
    start = struct.unpack_from("<I", data, 4)[0]
    (entries,) = struct.unpack_from("<H", data, start)
    changed = bytearray(data)
    for offset in range(start + 2, start + 2 + 12 * entries, 12):
        if struct.unpack_from("<H", data, offset)[0] == tag:
            struct.pack_into("<HHII", changed, offset, tag, kind, count, value)
    assert changed != data
    return bytes(changed)


def damaged(data: bytes) -> bytes:
    """A compressed TIFF with other bytes where its pixels should be: libtiff writes about it to stderr."""
    changed = bytearray(data)
    changed[8:200] = NAME.encode() * 24
    return bytes(changed)


TELLING = {
    "JPEG": with_exif("JPEG"),
    "JPEG with a comment": images.encode(images.noise(), "JPEG", comment=NAME),
    "damaged EXIF": with_exif("JPEG").replace(b"II*\x00", b"II*\x07").replace(b"MM\x00*", b"MM\x07*"),
    "WebP": with_exif("WEBP"),
    "PNG": png(),
    "GIF": images.encode(images.noise(), "GIF", comment=NAME.encode()),
    "TIFF": tiff(),
    "TIFF of a foreign type": patched(tiff(), ARTIST, 99, 9, 0),
    "TIFF tag beyond the file": patched(tiff(), ARTIST, 2, 9, 1 << 30),
    "TIFF with too many entries": patched(tiff(), 256, 3, 4, 8),
    "TIFF of many samples": patched(tiff(), SAMPLES, 4, 1, 1000),
    "TIFF, LZW": damaged(tiff("tiff_lzw")),
    "TIFF, deflate": damaged(tiff("tiff_deflate")),
    "not an image": NAME.encode(),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    settings = {"GATEWAY_LOG_LEVEL": "debug", "GATEWAY_LOG_FORMAT": "json", "PYTHONASYNCIODEBUG": "1"}
    log: Path = tmp_path_factory.mktemp("quiet") / "log"
    with fake_model_server() as model_server, gateway_process(log, model_server.port, **settings) as gateway:
        yield gateway


def send(gateway: GatewayProcess, data: bytes) -> set[int]:
    """Send an image in every way; the statuses."""
    encoded = json.dumps({"image": base64.b64encode(data).decode()}).encode()
    form = f'--x\r\nContent-Disposition: form-data; name="image"; filename="{NAME}.png"\r\n\r\n'.encode()
    bodies = {
        "image/png": data,
        "application/json": encoded,
        "multipart/form-data; boundary=x": form + data + b"\r\n--x--\r\n",
    }
    return {
        gateway.request("POST", f"/predict?name={NAME}", body, {"Content-Type": kind})[0]
        for kind, body in bodies.items()
    }


def test_nothing_of_an_image_and_no_bare_line_is_in_the_log(gateway):
    statuses = {name: send(gateway, data) for name, data in TELLING.items()}
    url = json.dumps({"url": f"http://{NAME}.invalid/{NAME}"}).encode()
    gateway.request("POST", "/predict", url, {"Content-Type": "application/json"})
    for malformed in (f"GET /{NAME}\x01 {NAME}\r\n\r\n", f"GET / HTTP/1.1\r\nHost: x\r\n{NAME} {NAME}: 1\r\n\r\n"):
        gateway.send_raw(malformed.encode())
    gateway.request("GET", f"/{NAME}")
    gateway.request("GET", "/livez")
    wait_for(lambda: "/livez 200" in gateway.log)  # the level is debug: other levels do not log it
    assert statuses["JPEG"] == statuses["PNG"] == statuses["TIFF"] == {200}
    assert statuses["TIFF, LZW"] == {400}
    assert NAME not in gateway.log
    assert NAME.encode().hex() not in gateway.log
    documents = [json.loads(line) for line in gateway.log.splitlines()]
    assert not [document for document in documents if document["level"] in ("error", "critical")]
