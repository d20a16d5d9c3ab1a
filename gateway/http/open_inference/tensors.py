"""The images in an input tensor: files as BYTES, or pixels as UINT8, each as JSON or as binary data."""

import math
from typing import NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from brain_tumor.metadata import ImageSpec
from gateway.deadline import Deadline
from gateway.http.open_inference.messages import BYTES, UINT8
from gateway.http.open_inference.request import InputTensor
from gateway.images.sent import InvalidRequest, too_many_images
from gateway.images.text import from_text, is_text

FILES, PIXELS = "image", "images"  # the two inputs
CHANNELS = 3
_DATATYPES = {FILES: BYTES, PIXELS: UINT8}
_MAX_PARTS = 4096  # commas and brackets of a list of base64, which has none itself
_LENGTH = 4  # bytes before each element of BYTES; little-endian
_PIECE = 64 << 10  # characters of numbers that are parsed at once: others have their turn in between
_LONG = 1 << 20  # characters of numbers from which on they take a noticeable time: about 10 ms
_DIGITS_AND_SPACE, _BRACKETS_AND_SPACE = b"0123456789 \t\r\n", b"[] \t\r\n"
_texts = msgspec.json.Decoder(list[str | tuple[str]])
_numbers = msgspec.json.Decoder(list[int])


def check_name(tensor: InputTensor) -> None:
    """Check that a tensor is one of the model's inputs, and has its datatype.

    Raises:
        InvalidRequest: It is not.
    """
    datatype = _DATATYPES.get(tensor.name)
    if datatype is None:
        raise InvalidRequest(
            f'The input must be called "{FILES}" and hold image files ({BYTES}), or "{PIXELS}" and hold pixels '
            f"({UINT8})."
        )
    if tensor.datatype != datatype:
        raise InvalidRequest(f'The input "{tensor.name}" must have the datatype {datatype}.')


def fits(tensor: InputTensor, image: ImageSpec) -> bool:
    """Whether its images have the size that a model takes, if they are pixels."""
    return tensor.name != PIXELS or tensor.shape[1:] == [image.height, image.width, CHANNELS]


def is_long(tensor: InputTensor) -> bool:
    """Whether its numbers take so long to parse that other requests should not wait for it."""
    return tensor.name == PIXELS and not tensor.is_binary and len(tensor.data) > _LONG


def read_files(tensor: InputTensor, max_images: int) -> list[bytes]:
    """The image files of a BYTES tensor.

    Args:
        tensor: Of shape [n] or [n, 1]. In JSON an image is base64; as binary data it is the file itself, or base64.
        max_images: Largest count of images.

    Raises:
        InvalidRequest: The shape is another one, or contradicts the data, or an element is not base64.
        TooManyImages: There are too many images.
    """
    if tensor.shape[1:] not in ([], [1]) or not tensor.shape:
        raise InvalidRequest(f'The input "{FILES}" must have the shape [n] or [n, 1], for n images.')
    count = _count(tensor, max_images)
    return _elements(tensor.data, count) if tensor.is_binary else _from_texts(tensor.data, count)


def read_pixels(tensor: InputTensor, image: ImageSpec, max_images: int, deadline: Deadline) -> NDArray[np.uint8]:
    """The pixels of a UINT8 tensor: shape (n, height, width, 3).

    Args:
        tensor: In JSON it is nested by its dimensions, or not at all.
        image: What the model takes.
        max_images: Largest count of images.
        deadline: Ends the work.

    Raises:
        InvalidRequest: The shape is not the model's, or contradicts the data, or an element is not 0 to 255.
        TooManyImages: There are too many images.
        DeadlineExceeded: The deadline passed.
        ClientLeft: Nobody waits for the response.
    """
    if not fits(tensor, image):
        raise InvalidRequest(
            f'The input "{PIXELS}" must have the shape [n, {image.height}, {image.width}, {CHANNELS}], for n images of '
            f'the size that the model takes. Resize them, or send files as the input "{FILES}".'
        )
    shape = (_count(tensor, max_images), image.height, image.width, CHANNELS)
    if tensor.is_binary:
        if len(tensor.data) != math.prod(shape):
            _contradiction(tensor)
        return np.frombuffer(tensor.data, np.uint8).reshape(shape)
    return np.frombuffer(_from_numbers(tensor, shape, deadline), np.uint8).reshape(shape)


def _count(tensor: InputTensor, max_images: int) -> int:
    count = tensor.shape[0]
    if count < 1:
        raise InvalidRequest(f'The shape of the input "{tensor.name}" must begin with the count of images, from 1.')
    if count > max_images:
        raise too_many_images(max_images)
    return count


def _contradiction(tensor: InputTensor) -> NoReturn:
    raise InvalidRequest(
        f'The data of the input "{tensor.name}" contradict its shape. Send as many elements as it says.'
    )


def _elements(data: memoryview, count: int) -> list[bytes]:
    """Take the elements of binary BYTES, each behind its length."""
    elements = []
    start = 0
    for index in range(count):
        start, before = start + _LENGTH, start
        end = start + int.from_bytes(data[before:start], "little")
        if end > len(data) or start > len(data):
            raise InvalidRequest(
                f"{_name(index)} is longer than the data that were sent. Write the length of each image as 4 bytes, "
                "little-endian, before its bytes."
            )
        element = bytes(data[start:end])
        # Clients send binary data by default, also of the base64 that they have made for JSON.
        if is_text(element) and isinstance(decoded := from_text(element.decode("latin-1"), _name(index)), bytes):
            element = decoded
        elements.append(element)
        start = end
    if start != len(data):
        raise InvalidRequest("Bytes follow the last image. Make the shape the count of images, or send fewer bytes.")
    return elements


def _from_texts(data: memoryview, count: int) -> list[bytes]:
    """Take the base64 texts of JSON."""
    text = bytes(data)
    if text.count(b",") + text.count(b"[") > _MAX_PARTS:
        raise InvalidRequest(f'The input "{FILES}" has too many elements. Send a base64 text for each image.')
    try:
        texts = _texts.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest(f'The data of the input "{FILES}" must be a list of base64 texts, one an image.') from None
    if len(texts) != count:
        raise InvalidRequest(f'The data of the input "{FILES}" contradict its shape. Send as many images as it says.')
    return [_from_text(text if isinstance(text, str) else text[0], index) for index, text in enumerate(texts)]


def _from_text(text: str, index: int) -> bytes:
    item = from_text(text, _name(index))
    if isinstance(item, bytes):
        return item
    if isinstance(item, InvalidRequest):
        raise item
    raise InvalidRequest(f"{_name(index)} is a URL. Send the image itself, or POST the URL to /predict.")


def _name(index: int) -> str:
    return f'"{FILES}"[{index}]'


def _from_numbers(tensor: InputTensor, shape: tuple[int, ...], deadline: Deadline) -> bytearray:
    """Take the numbers of JSON, whose syntax has been checked, without an object for each of millions of them."""
    text = bytes(tensor.data)
    if len(text) < 2 * math.prod(shape):  # a digit and a comma or bracket each
        _contradiction(tensor)
    if text.translate(None, _DIGITS_AND_SPACE) not in (_skeleton((math.prod(shape),)), _skeleton(shape)):
        raise InvalidRequest(
            f'The data of the input "{PIXELS}" must be whole numbers from 0 to 255, as many as its shape says, in one '
            "list or nested by its dimensions."
        )
    text = text.translate(None, _BRACKETS_AND_SPACE)
    pixels = bytearray()
    start = 0
    while start < len(text):
        deadline.remaining()
        end = text.find(b",", start + _PIECE)
        end = len(text) if end < 0 else end
        try:
            pixels += bytes(_numbers.decode(b"[%b]" % text[start:end]))
        except ValueError:
            raise InvalidRequest(f'The data of the input "{PIXELS}" must be numbers from 0 to 255.') from None
        start = end + 1
    return pixels


def _skeleton(shape: tuple[int, ...]) -> bytes:
    """The brackets and commas of a tensor of this shape in JSON."""
    part = b""
    for size in reversed(shape):
        part = b"[" + ((part + b",") * size)[:-1] + b"]"  # not by join, which takes 80 bytes for each part
    return part
