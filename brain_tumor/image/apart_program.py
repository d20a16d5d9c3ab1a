"""The process that decodes images apart: it imports the decoders once, and then forks for each image.

So an image costs some milliseconds, and not the third of a second that pydicom takes to start. A fork never sees
another image than its own: it begins as a copy of a process that has seen none. Where there is no fork, the process
decodes one image and ends.

Run as ``python -I apart_program.py SOCKET`` (a file descriptor: see ``brain_tumor.image.fork_loop``), or with the
arguments of an image, from standard input to standard output.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import BinaryIO

_DECODERS = ("numpy", "PIL.Image", "PIL.Jpeg2KImagePlugin", "libjpeg.utils", "pillow_heif", "pillow_jxl")
_DICOM = ("brain_tumor.image.dicom.read", "pydicom.pixels.decoders.pylibjpeg", "openjpeg.utils", "rle.utils")


def limit(memory: int, seconds: int) -> None:
    """Let the kernel end this process if it takes more.

    Args:
        memory: Bytes, besides those that it has now.
        seconds: Of CPU time.
    """
    import resource

    memory += _data_bytes()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))  # first a signal that says why
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (memory, memory))  # of the result, which is a file in memory


def _data_bytes() -> int:
    """Bytes of this process that RLIMIT_DATA counts; 0 where the kernel does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def decode(arguments: list[str], source: BinaryIO, target: BinaryIO) -> None:
    """Decode one image; whatever is wrong ends the process, and the caller calls the image damaged.

    Args:
        arguments: Format, largest count of pixels, page (0: the first), whether components are luma and chroma (1),
            bytes of memory, seconds of CPU.
        source: The file.
        target: Gets a line of JSON and the pixels.
    """
    from brain_tumor.image.apart_decoders import Refused, decoded

    name, max_pixels, page, ycc, memory, seconds = arguments
    limit(int(memory), int(seconds))
    data = source.read()
    pixels: bytes | memoryview = b""
    try:
        result, pixels = decoded(name, data, int(max_pixels), int(page), luma_and_chroma=ycc == "1")
    except Refused as refused:
        result = refused.result
    except ImportError:
        result = {"kind": "unsupported", "what": f"a {name} image whose decoder is not installed here"}
    except MemoryError:
        result = {"kind": "too heavy"}
    target.write(json.dumps(result).encode() + b"\n")
    target.write(pixels)


def import_decoders() -> None:
    """Import what images may need; what is not installed costs its own format alone."""
    for name in (*_DECODERS, *_DICOM):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # so that a fork does not copy memory only to look at it


def main() -> None:
    """Serve, or decode one image."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    if len(sys.argv) > 2:
        decode(sys.argv[1:], sys.stdin.buffer, sys.stdout.buffer)
        return
    from brain_tumor.image.fork_loop import serve

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the caller, which ends this process
    import_decoders()
    serve(int(sys.argv[1]), decode)


if __name__ == "__main__":
    main()
