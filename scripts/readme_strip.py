"""Draw the README's strip of images from a running service: the scan, its overlay, and the JSON response.

``make run`` in one terminal, then ``python -m scripts.readme_strip`` in another. It needs the DejaVu fonts.
"""

import argparse
import base64
import io
import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "examples" / "glioma.jpg"
STRIP = ROOT / "docs" / "images" / "strip.png"
_WIDTH, _HEIGHT, _MARGIN = 1200, 384, 16  # pixels
_IMAGE_SIDE = 312  # pixels, of the scan and of the overlay
_FONT_SIZE, _LINE_HEIGHT = 15, 21  # pixels
_LINE_LENGTH = 54  # characters that fit beside the two images
_BACKGROUND, _TEXT, _KEY, _CAPTION = "#ffffff", "#24292f", "#0550ae", "#57606a"


def main() -> int:
    """Ask the service at the given address and write ``STRIP``; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.readme_strip", description=__doc__)
    parser.add_argument("--address", default="http://127.0.0.1:9696", help="the gateway (default: %(default)s)")
    scan = SAMPLE.read_bytes()
    response = _predict(f"{parser.parse_args().address}/predict?explain=true", scan)
    overlay = base64.b64decode(response["explanation"]["png"])
    STRIP.parent.mkdir(exist_ok=True)
    _draw(scan, overlay, response).save(STRIP, optimize=True)
    print(f"written: {STRIP}")
    return 0


def _predict(url: str, scan: bytes) -> dict[str, Any]:
    request = urllib.request.Request(url, scan, {"Content-Type": "image/jpeg"})  # noqa: S310 - the operator's own
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy leads to this machine
    with opener.open(request, timeout=30) as response:
        return dict(json.load(response))


def _draw(scan: bytes, overlay: bytes, response: dict[str, Any]) -> Image.Image:
    strip = Image.new("RGB", (_WIDTH, _HEIGHT), _BACKGROUND)
    draw = ImageDraw.Draw(strip)
    caption = ImageFont.truetype("DejaVuSans.ttf", _FONT_SIZE)
    code = ImageFont.truetype("DejaVuSansMono.ttf", _FONT_SIZE)
    images_top = _MARGIN + _LINE_HEIGHT + 8
    parts = (("a scan (synthetic)", scan), ("the response's activation map", overlay))
    for number, (title, encoded) in enumerate(parts):
        left = _MARGIN + number * (_IMAGE_SIDE + _MARGIN)
        draw.text((left, _MARGIN), title, _CAPTION, caption)
        image = Image.open(io.BytesIO(encoded)).convert("RGB")
        strip.paste(image.resize((_IMAGE_SIDE, _IMAGE_SIDE), Image.Resampling.BICUBIC), (left, images_top))
    left = _MARGIN + 2 * (_IMAGE_SIDE + _MARGIN) + 8
    draw.text((left, _MARGIN), "the response to POST /predict?explain=true", _CAPTION, caption)
    for number, line in enumerate(_lines(response)):
        top = images_top + number * _LINE_HEIGHT
        draw.text((left, top), line, _TEXT, code)
        key, colon, _ = line.partition(":")
        if colon:
            draw.text((left, top), key, _KEY, code)
    return strip


def _lines(response: dict[str, Any]) -> list[str]:
    """The response as JSON, one line for each field, class and score; long texts are cut."""
    lines = ["{"]
    for key, value in response.items():
        if key in ("probabilities", "out_of_distribution"):
            lines += [f' "{key}": {{', *(f'   "{name}": {json.dumps(number)},' for name, number in value.items())]
            lines[-1] = lines[-1].removesuffix(",") + "},"
        else:
            line = f' "{key}": {json.dumps(value)},'
            lines.append(line if len(line) <= _LINE_LENGTH else line[: _LINE_LENGTH - 4] + " ...")
    lines[-1] = lines[-1].removesuffix(",")
    return [*lines, "}"]


if __name__ == "__main__":
    sys.exit(main())
