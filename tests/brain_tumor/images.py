"""Images for tests: valid, odd and hostile ones, made here byte by byte."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from brain_tumor.image import BrokenImage, ImageTooLarge, UnknownImageType, UnusableImage


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def stack(*levels: int) -> bytes:
    """A TIFF with a page of each grey level."""
    first, *others = (Image.new("L", (64, 64), level) for level in levels)
    return encode(first, "TIFF", save_all=True, append_images=others)


def plain(
    red: int = 200, green: int = 30, blue: int = 30, size: tuple[int, int] = (64, 48), kind: str = "PNG"
) -> bytes:
    """An image of one colour; ``FakeModel`` calls a red one glioma, a green one meningioma, a blue one notumor."""
    return encode(Image.new("RGB", size, (red, green, blue)), kind)


GLIOMA = plain()
MENINGIOMA = plain(30, 200, 30)
NOTUMOR = plain(30, 30, 200)


def noise(size: tuple[int, int] = (64, 48)) -> Image.Image:
    width, height = size
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8))


def truncated(kind: str) -> bytes:
    data = encode(noise(), kind)
    return data[: len(data) // 2]


def png(width: int, height: int, pixels: bytes, depth: int = 8) -> bytes:
    """A greyscale PNG whose header has this size, which may contradict the compressed pixel data."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def bomb() -> bytes:
    """A valid image of 144 million pixels in some kilobytes."""
    side = 12_000
    return png(side, side, packed_zeros(side, side // 8 + 1), depth=1)


def packed_zeros(rows: int, row_bytes: int) -> bytes:
    packer = zlib.compressobj(9)
    row = bytes(row_bytes)
    return b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()


def tiff_with_huge_tile(tile: int = 24_000) -> bytes:
    """An image of 64x64 pixels in one tile of 576 million."""
    data = packed_zeros(tile, tile)
    short, long = 3, 4
    entries = [
        *[(256, short, 64), (257, short, 64), (258, short, 8), (259, short, 8), (262, short, 1), (277, short, 1)],
        *[(322, long, tile), (323, long, tile), (324, long, 8), (325, long, len(data))],
    ]
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    start = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    return start + data + struct.pack("<H", len(entries)) + directory + bytes(4)


def tiff_with_wide_tiles(count: int = 300, side: int = 1 << 20) -> bytes:
    """An image 16 pixels wide in tiles of a million. All tiles are the same few bytes."""
    data = zlib.compress(bytes(side * 16), 9)
    short, long = 3, 4
    tables = 8 + len(data)
    entries = [
        *[(256, short, 1, 16), (257, long, 1, 16 * count), (258, short, 1, 8), (259, short, 1, 8)],
        *[(262, short, 1, 1), (277, short, 1, 1), (322, long, 1, side), (323, long, 1, 16)],
        *[(324, long, count, tables), (325, long, count, tables + 4 * count)],
    ]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    offsets, lengths = struct.pack("<I", 8) * count, struct.pack("<I", len(data)) * count
    start = struct.pack("<2sHI", b"II", 42, tables + 8 * count)
    return start + data + offsets + lengths + struct.pack("<H", len(entries)) + directory + bytes(4)


def many_exif_segments(count: int = 200_000) -> bytes:
    """A JPEG with EXIF in segments of a few bytes, which Pillow joins one by one."""
    data = plain(kind="JPEG")
    return data[:2] + b"\xff\xe1\x00\x0aExif\x00\x00aa" * count + data[2:]


def bmp_run_length(side: int = 64) -> bytes:
    """A greyscale BMP in which every pixel is a run of length one."""
    pixels = b"\x01\x05" * side * side
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(pixels), 2835, 2835, 256, 0) + bytes(1024)
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(pixels), 0, 0, 14 + len(header)) + header + pixels


def gif_with_huge_frame() -> bytes:
    """A screen of 32x32 pixels and a frame of 60,000 x 60,000."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 32, 32, 0x80, 0, 0) + bytes(6)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0) + b"\x02\x02\x4c\x01\x00;"


def many_scans(count: int = 3000) -> bytes:
    """A progressive JPEG whose last scan is repeated. For each scan a decoder passes over the whole image."""
    data = encode(Image.new("L", (256, 256), 90), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    scan = data[start:-2]  # without the end-of-image marker
    return data[:start] + scan * count + data[-2:]


def corrupt_header() -> bytes:
    data = bytearray(plain())
    data[16:24] = struct.pack(">II", 0, 0)  # width and height; the checksum is wrong too
    return bytes(data)


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"><rect/></svg>'
PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"

# name: (bytes, the exception of brain_tumor.image)
BAD = {
    "empty": (b"", UnknownImageType),
    "text": (b"hello, this is no image", UnknownImageType),
    "html": (b"<!doctype html><title>404</title>", UnknownImageType),
    "svg": (SVG, UnknownImageType),
    "pdf": (PDF, UnknownImageType),
    "run_length_bmp": (bmp_run_length(), UnknownImageType),
    "truncated_jpeg": (truncated("JPEG"), BrokenImage),
    "truncated_png": (truncated("PNG"), BrokenImage),
    "truncated_webp": (truncated("WEBP"), BrokenImage),
    "truncated_gif": (truncated("GIF"), BrokenImage),
    "gif_cut_in_palette": (truncated("GIF")[:200], BrokenImage),
    "png_without_pixels": (png(64, 64, b""), BrokenImage),
    "png_with_broken_pixels": (png(64, 64, b"\x00\x01\x02\x03"), BrokenImage),
    "corrupt_header": (corrupt_header(), BrokenImage),
    "signature_alone": (b"\x89PNG\r\n\x1a\n", BrokenImage),
    "many_scans": (many_scans(), BrokenImage),
    "many_exif_segments": (many_exif_segments(), BrokenImage),
    "one_pixel": (plain(size=(1, 1)), UnusableImage),
    "thin": (plain(size=(600, 2)), UnusableImage),
    "only_nan": (encode(Image.fromarray(np.full((32, 32), np.nan, np.float32)), "TIFF"), UnusableImage),
    "bomb": (bomb(), ImageTooLarge),
    "huge_sides": (png(2**31 - 1, 2**31 - 1, b""), ImageTooLarge),
    "huge_gif_frame": (gif_with_huge_frame(), ImageTooLarge),
    "huge_tiff_tile": (tiff_with_huge_tile(), ImageTooLarge),
    "wide_tiff_tiles": (tiff_with_wide_tiles(), ImageTooLarge),
}


def float_with_nan() -> bytes:
    values = np.linspace(-1, 5, 64 * 64, dtype=np.float32).reshape(64, 64)
    values[:4] = np.nan
    values[4] = np.inf
    return encode(Image.fromarray(values), "TIFF")


def exif_rotated() -> bytes:
    """An image that is stored rotated. Upright, its top is bright."""
    upright = np.zeros((60, 40, 3), np.uint8)
    upright[:20] = 255
    stored = np.rot90(upright)  # orientation 6 turns it a quarter clockwise
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(Image.fromarray(stored), "JPEG", exif=exif.tobytes(), quality=95)


def animated_gif() -> bytes:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "lime", "blue")]
    return encode(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50)


def sixteen_bit() -> bytes:
    """A 12-bit ramp in a 16-bit PNG, as scanners write."""
    ramp = np.tile(np.linspace(0, 4095, 64).astype(np.uint16), (64, 1))
    return encode(Image.fromarray(ramp))


def palette_with_alpha() -> bytes:
    image = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    image.paste((255, 255, 255, 255), (0, 0, 20, 40))
    return encode(image.quantize(8))


ODD = {
    "16-bit": sixteen_bit(),
    "cmyk": encode(Image.new("CMYK", (40, 40), (0, 255, 255, 0)), "JPEG"),
    "palette_alpha": palette_with_alpha(),
    "exif_rotated": exif_rotated(),
    "animated_gif": animated_gif(),
    "float_with_nan": float_with_nan(),
    "one_bit": encode(noise().convert("1")),
    "grey_alpha": encode(noise().convert("LA")),
    "webp": encode(noise(), "WEBP"),
    "bmp": encode(noise(), "BMP"),
    "sixteen_bit_tiff": encode(Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)), "TIFF"),
}
