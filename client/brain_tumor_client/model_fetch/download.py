"""A download that goes on where it was: after a broken connection, and in the next process."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from brain_tumor_client.errors import ModelAway, ModelChanged, ModelUnusable
from brain_tumor_client.model_fetch.remote import Remote
from brain_tumor_client.retry import Retry


class Download:
    """An archive on its way. What has come lies in a file, and beside it the ETag that the archive had.

    Attributes:
        path: The file. What an earlier process left there is gone on with.
    """

    def __init__(self, remote: Remote, path: Path) -> None:
        self.path = path
        self._remote = remote
        self._etag = path.with_name(f"{path.name}.etag")

    def complete(
        self, sha256: str, max_bytes: int, retry: Retry, report: Callable[[str], None], sleep: Callable[[float], None]
    ) -> None:
        """Fetch what is missing, and check the whole.

        Args:
            sha256: The checksum that the archive must have, as lower-case hexadecimal digits.
            max_bytes: The largest archive that is taken.
            retry: How often to try again without a single new byte, and the waits between.
            report: Takes a sentence for the log when the download is interrupted.
            sleep: Waits for seconds.

        Raises:
            ModelAway: It cannot be read now. What has come stays.
            ModelRefused: Only others may read it.
            ModelUnusable: It is too large, or not the archive that was meant. What has come is removed.
            OSError: It cannot be written.
        """
        failed, ends = 0, time.monotonic() + retry.patience
        while not (self.path.exists() and _sha256(self.path) == sha256):
            before = self._size()
            try:
                self._go_on(max_bytes)
            except ModelAway as error:
                if isinstance(error, ModelChanged):
                    self.remove()
                elif self._size() > before:
                    failed, ends = 0, time.monotonic() + retry.patience
                failed += 1
                if failed >= retry.attempts or time.monotonic() >= ends:
                    raise
                report(f"{error} Trying again from byte {self._size():,}.")
                sleep(retry.wait(failed))
                continue
            if (found := _sha256(self.path)) != sha256:
                self.remove()
                raise ModelUnusable(
                    f"{self._remote.shown} has the SHA-256 {found}, and not the one that was asked for. Check which "
                    "archive is meant, and that nobody replaced it."
                )

    def remove(self) -> None:
        """Forget what has come."""
        self._etag.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _go_on(self, max_bytes: int) -> None:
        etag = self._etag.read_text() if self._etag.exists() else ""
        with self._remote.rest(self._size() if etag else 0, etag) as rest:
            if not rest.start:
                self.path.write_bytes(b"")
                self._etag.write_text(rest.etag)
            size = rest.start
            with self.path.open("ab") as file:
                for chunk in rest.chunks:
                    size += len(chunk)
                    if size > max_bytes:
                        break
                    file.write(chunk)
        if size > max_bytes:
            self.remove()
            raise ModelUnusable(f"{self._remote.shown} has more than {max_bytes:,} bytes. Raise --max-bytes.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
