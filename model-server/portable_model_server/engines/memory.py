"""How memory that nobody needs goes back to the system, since a container's limit counts it."""

import ctypes
import logging
from pathlib import Path

_LOGGER = logging.getLogger(__name__)
# Source: madvise(2), the value of every Linux architecture but Alpha and MIPS.
_MADV_DONTNEED = 4
# Source: glibc's malloc.h.
_M_MMAP_THRESHOLD = -3


def return_large_blocks() -> None:
    """Let blocks of 1 MiB and more go back to the system when they are freed.

    By itself glibc keeps those that are smaller than the largest one so far: 60 MB of an Xception's working memory.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 20)


def trim_heap() -> None:
    """Return free heap memory to the system: 80 to 700 MB after an Xception model was read or closed."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc
        libc.malloc_trim(0)


def drop_mapped_pages(folder: Path) -> None:
    """Return the pages of files that this process maps from a folder; the kernel reads a page again when it is used.

    The files may be deleted already. Where there is no Linux, nothing happens.
    """
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for line in lines:
        # proc_pid_maps(5): "start-end perms offset device inode path"
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].startswith(f"{folder}/") and fields[1].startswith("r--"):
            start, end = (int(address, 16) for address in fields[0].split("-"))
            if libc.madvise(start, end - start, _MADV_DONTNEED):
                _LOGGER.debug("madvise failed: errno %d", ctypes.get_errno())
