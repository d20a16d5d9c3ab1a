"""What C libraries write to file descriptor 2, bare and with whatever they like in it, becomes records without it.

libtiff reports on images there, gRPC's C core on connections, glibc the reason of an abort. In the worker process the
descriptor leads into a pipe that the event loop reads, and the records go to a copy of the real one. A pipe that is
full drops what is written to it: a library that writes while the loop is busy must not wait for it. What the worker
did not read any more when it ended, an abort's reason above all, the master reads.
"""

import asyncio
import contextlib
import faulthandler
import logging
import os
import re
import sys
import time

LINE_BYTES = 4096  # of a line; the rest of a longer one counts as another
PERIOD = 60.0  # seconds between two records of the same kind
_MAX_KINDS = 64
_STDERR = 2
_OTHER = "a library wrote to stderr (text withheld)"
# absl's and gRPC's lines: severity, date, time, thread, place in their source, text.
_GRPC = re.compile(r"([IWEF])\d{4} \d\d:\d\d:\d+\.\d+ +\d+ ([\w./+-]{1,120}:\d{1,6})\] ")
_GRPC_LEVELS = {"I": logging.DEBUG, "W": logging.WARNING, "E": logging.WARNING, "F": logging.CRITICAL}
# What glibc (malloc.c, fortify_fail.c), libstdc++ and Python say before they end the process. A line that begins like
# one of these and is made of their words alone holds nothing of an image.
_ABORTS = """
malloc(): corrupted top size
malloc(): invalid next->prev_inuse (unsorted)
malloc(): mismatching next->prev_size (unsorted)
malloc(): largebin double linked list corrupted (nextsize)
malloc(): smallbin double linked list corrupted (bk)
malloc(): memory corruption (fast)
malloc(): unaligned fastbin chunk detected
malloc_consolidate(): unaligned fastbin chunk detected
free(): corrupted unsorted chunks
free(): double free detected in tcache 2
free(): too many chunks detected in tcache
free(): invalid next size (normal)
realloc(): invalid old size
munmap_chunk(): invalid pointer
mremap_chunk(): invalid pointer
double free or corruption (!prev)
double free or corruption (fasttop)
double free or corruption (top)
double free or corruption (out)
corrupted double-linked list (not small)
corrupted size vs. prev_size in fastbins
corrupted size vs. prev_size while consolidating
*** stack smashing detected ***: terminated
*** buffer overflow detected ***: terminated
terminate called without an active exception
terminate called after throwing an instance of 'std::bad_alloc'
Fatal Python error: Aborted
Fatal Python error: Segmentation fault
"""
_ABORT_BEGINNINGS = {line.split()[0] for line in _ABORTS.splitlines() if line}
_ABORT_WORDS = set(_ABORTS.split())
_log = logging.getLogger("stderr")


class StderrPipe:
    """A pipe in place of a worker's stderr.

    The master makes it before it forks the worker; a process without a master makes one for itself.
    """

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        # Both ends without blocking: the write end so that no library ever waits.
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)
        self._rest = b""
        self._kinds: dict[str, tuple[float, int]] = {}  # (time of its last record, lines since)

    def capture(self, loop: asyncio.AbstractEventLoop) -> None:
        """Lead this process's file descriptor 2 into the pipe, which the loop reads.

        Log handlers go on with the real stderr, and so does the traceback that Python prints when it crashes.
        """
        real = os.fdopen(os.dup(_STDERR), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stderr, sys.__stderr__):
                handler.setStream(real)
        faulthandler.enable(real)
        os.dup2(self._write_end, _STDERR)
        loop.add_reader(self._read_end, self.read)

    def read(self) -> None:
        """Log what the pipe holds now, a record a kind."""
        with contextlib.suppress(BlockingIOError):
            *lines, rest = (self._rest + os.read(self._read_end, 1 << 16)).split(b"\n")
            if len(rest) > LINE_BYTES:
                lines, rest = [*lines, rest], b""
            self._rest = rest
            for line in lines:
                self._report(line)

    def finish(self) -> None:
        """Log what the worker left in the pipe when it ended, and close the pipe; the master calls this."""
        os.close(self._write_end)
        with contextlib.suppress(BlockingIOError):  # a child of the worker still holds the other end
            while part := os.read(self._read_end, 1 << 16):
                self._rest += part
        for line in self._rest.split(b"\n"):
            self._report(line)
        os.close(self._read_end)

    def _report(self, line: bytes) -> None:
        text = line[:LINE_BYTES].decode("ascii", "replace").rstrip()
        if not text:
            return
        level, kind = _level_and_kind(text)
        if kind not in self._kinds and len(self._kinds) >= _MAX_KINDS:
            level, kind = logging.WARNING, _OTHER
        now = time.monotonic()
        reported, since = self._kinds.get(kind, (-PERIOD, 0))
        if now - reported < PERIOD and level < logging.CRITICAL:
            self._kinds[kind] = (reported, since + 1)
            return
        self._kinds[kind] = (now, 0)
        _log.log(level, "%s%s", kind, f", and {since} times before" if since else "")


def _level_and_kind(line: str) -> tuple[int, str]:
    """Give the level and the text of the record for a line; nothing in the text can be of an image."""
    if match := _GRPC.match(line):
        return _GRPC_LEVELS[match[1]], f"gRPC at {match[2]} (text withheld)"
    words = line.split()
    if words[0] in _ABORT_BEGINNINGS and _ABORT_WORDS.issuperset(words):
        return logging.CRITICAL, line
    return logging.WARNING, _OTHER
