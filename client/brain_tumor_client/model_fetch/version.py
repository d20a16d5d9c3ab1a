"""The version folder that a model server reads, which appears complete or not at all."""

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from brain_tumor_client.errors import ModelUnusable
from brain_tumor_client.model_fetch.download import Download
from brain_tumor_client.model_fetch.over_http import OverHttp
from brain_tumor_client.model_fetch.over_s3 import OverS3
from brain_tumor_client.model_fetch.remote import Remote
from brain_tumor_client.model_fetch.unpack import unpack
from brain_tumor_client.retry import Retry
from brain_tumor_client.sources.bucket import SCHEME

RETRY = Retry(attempts=8, patience=300.0, first_wait=1.0, longest_wait=30.0)
_MADE_OF = ".archive-sha256"  # in the version folder, where model servers ignore it
_GRAPH = "saved_model.pb"


def remote_of(url: str) -> Remote:
    """What lies behind a URL of S3, Google Cloud Storage or HTTPS.

    Raises:
        ValueError: It is no such URL.
    """
    return OverS3.of(url) if url.startswith(SCHEME) else OverHttp.of(url)


def fetch(
    remote: Remote,
    out: Path,
    sha256: str,
    max_bytes: int,
    report: Callable[[str], None],
    *,
    retry: Retry = RETRY,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Make a version folder of an archive that holds it, at its top or in its one folder.

    What has come of the archive, and what is unpacked of it, lies in hidden siblings of ``out`` meanwhile, which model
    servers do not look at. One process at a time may fetch a version.

    Args:
        remote: The archive.
        out: The folder, whose name is the number of the version. If it was made of this archive, nothing is done.
        sha256: The archive's checksum, as lower-case hexadecimal digits.
        max_bytes: Of the archive, and of the folder.
        report: Takes sentences for the log.
        retry: When to try again.
        sleep: Waits for seconds.

    Raises:
        ModelAway: The archive cannot be read now. What has come of it is used the next time.
        ModelRefused: Only others may read it.
        ModelUnusable: It is none, or another one than was asked for, or there is another model at ``out``.
        OSError: The folder cannot be written.
    """
    if not re.fullmatch("[1-9][0-9]{0,17}", out.name):
        raise ModelUnusable(f"A model server knows versions by number: --out must end in one, and not in {out.name}.")
    download = Download(remote, out.with_name(f".{out.name}.download"))
    if out.exists():
        _check(out, sha256)
        download.remove()  # of a process that ended just then
        report(f"{out} is there already.")
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    download.complete(sha256, max_bytes, retry, report, sleep)
    scratch = out.with_name(f".{out.name}.unpacking")
    shutil.rmtree(scratch, ignore_errors=True)  # of a process that was killed
    try:
        scratch.mkdir()
        unpack(download.path, scratch, max_bytes)
        folder = _top(scratch)
        (folder / _MADE_OF).write_text(sha256)
        folder.rename(out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    download.remove()


def _top(scratch: Path) -> Path:
    inside = list(scratch.iterdir())
    for folder in (scratch, *(inside if len(inside) == 1 else [])):
        if (folder / _GRAPH).is_file():
            return folder
    raise ModelUnusable(f"The archive holds no {_GRAPH} at its top or in its one folder. Pack one version folder.")


def _check(out: Path, sha256: str) -> None:
    made_of = out / _MADE_OF
    if not made_of.is_file() or made_of.read_text() != sha256:
        raise ModelUnusable(f"There is another model at {out}. A version is never replaced: give it another number.")
