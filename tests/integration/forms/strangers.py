"""Files that no Keras wrote, which people give to the converter all the same."""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable


def git_lfs_pointer() -> bytes:
    """What a clone without Git LFS holds in place of a large file."""
    digest = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 83691234\n".encode()


def web_page() -> bytes:
    """What a download saves that met a page for signing in."""
    return b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Sign in to go on</body></html>\n"


def empty() -> bytes:
    return b""


def pytorch() -> bytes:
    """As ``torch.save(model.state_dict(), path)`` lays it out: a zip archive around a pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(OrderedDict(), protocol=2))
        archive.writestr("model/byteorder", "little")
        archive.writestr("model/version", "3\n")
    return file.getvalue()


def onnx() -> bytes:
    """The beginning of a ``ModelProto``: field 1 is its version, field 2 the producer."""
    producer = b"pytorch"
    return b"\x08\x08" + b"\x12" + bytes([len(producer)]) + producer + b"\x1a\x032.3" + b"\x3a\x00"


STRANGERS: dict[str, Callable[[], bytes]] = {
    made.__name__: made for made in (git_lfs_pointer, web_page, empty, pytorch, onnx)
}
