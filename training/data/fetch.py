"""Fetches the Kaggle set with kagglehub, which caches it and resumes a download that was interrupted.

A version on Kaggle never changes, and no account is needed. Every failure ends in one line that says what to do.
"""

import errno
import logging
import shutil
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import requests

from training.data.data_set import DataSet
from training.data.errors import DataError
from training.layout import TESTING, TRAINING

log = logging.getLogger(__name__)

HANDLE = "masoudnickparvar/brain-tumor-mri-dataset"
CLASSES = ("glioma", "meningioma", "notumor", "pituitary")
# The number of images in each version by split and class, in the order of CLASSES, counted when this was written.
COUNTS: Mapping[int, Mapping[str, tuple[int, ...]]] = {
    1: {TRAINING: (1321, 1339, 1595, 1457), TESTING: (300, 306, 405, 300)},
    2: {TRAINING: (1400,) * 4, TESTING: (400,) * 4},
}
_ARCHIVE_BYTES = 160_000_000  # about the size of either version's archive; the images need as much again
_DEADLINE = (10.0, 60.0)  # seconds to connect, and between two pieces of a response
_TRY_AGAIN = "run the same command again"
_BY_HAND = f"or fetch https://www.kaggle.com/datasets/{HANDLE} by hand, unpack it, and name its folder"
_NO_CREDENTIALS = (
    "this set needs none, so unset KAGGLE_API_TOKEN, KAGGLE_USERNAME and KAGGLE_KEY and move ~/.kaggle away, "
)
_REFUSALS = {
    401: f"it does not accept the credentials that were sent: {_NO_CREDENTIALS}{_BY_HAND}",
    403: f"perhaps it does not accept the credentials that were sent: {_NO_CREDENTIALS}{_BY_HAND}",
    404: f"it has no such version (any more): take the other one, {_BY_HAND}",
    429: f"it received too many requests from here: wait some minutes, then {_TRY_AGAIN}",
}


def fetch(version: int, deadline: tuple[float, float] = _DEADLINE) -> Path:
    """Fetch a version of the Kaggle set into kagglehub's cache, unless it is there already.

    Args:
        version: One of ``COUNTS``.
        deadline: Seconds to connect, and seconds between two pieces of a response.

    Returns:
        The folder of the images.

    Raises:
        DataError: It cannot be fetched or stored; the message says what to do. The part that was downloaded stays for
            the next try.
    """
    with redirect_stdout(sys.stderr):  # kagglehub prints messages; standard output is for the result
        import kagglehub  # type: ignore[import-untyped]  # its log goes where standard output points at this moment
        from kagglehub import cache, config, handle  # type: ignore[import-untyped]

        name = handle.parse_dataset_handle(f"{HANDLE}/versions/{version}")
        root, archive = Path(config.get_cache_folder()), Path(cache.get_cached_archive_path(name))
        with _errors_explained(version, root, archive, Path(cache.get_cached_path(name))), _deadlines(deadline):
            if not cache.Cache().load_from_cache(name):
                log.info("fetching kaggle/%d into %s", version, root)
                require_space(root, 2 * _ARCHIVE_BYTES - (archive.stat().st_size if archive.exists() else 0))
            return Path(kagglehub.dataset_download(str(name)))


def require_space(folder: Path, needed: int) -> None:
    """Check before a download whether the disk of a folder has enough room.

    Args:
        folder: The folder to write to; it may not exist yet.
        needed: Bytes.

    Raises:
        DataError: There is less room.
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise DataError(
            f"{folder} has {_megabytes(free)} free, and about {_megabytes(needed)} are needed: free some, or let "
            "KAGGLEHUB_CACHE name a folder on another disk"
        )


def unexpected_counts(version: int, data: DataSet) -> list[str]:
    """Compare what was fetched with ``COUNTS``; returns a sentence for each split and class that differs."""
    messages = []
    for split, files in ((TRAINING, data.training), (TESTING, data.testing)):
        expected = dict(zip(CLASSES, COUNTS[version][split], strict=True))
        for name in sorted({*expected, *data.class_names}):
            count = sum(data.classes[file] == name for file in files)
            if count != expected.get(name, 0):
                messages.append(
                    f"{split}/{name} has {count} images, not the {expected.get(name, 0)} known of this version"
                )
    return messages


@contextmanager
def _errors_explained(version: int, root: Path, archive: Path, folder: Path) -> Iterator[None]:
    """Turn what kagglehub raises into a DataError.

    Args:
        version: The version that is fetched.
        root: kagglehub's cache.
        archive: The file in the cache that the set is downloaded to.
        folder: The folder in the cache that the set is unpacked to.
    """
    from kagglehub import exceptions

    try:
        yield
    except requests.HTTPError as error:
        status = error.response.status_code
        reason = "it has trouble of its own: wait, then" if status >= 500 else "it does not say why:"
        advice = _REFUSALS.get(status, f"{reason} {_TRY_AGAIN}, {_BY_HAND}")
        raise DataError(f"Kaggle refuses kaggle/{version} with status {status}; {advice}") from None
    except requests.RequestException as error:
        raise DataError(_connection_failure(error, archive)) from None
    except (exceptions.DataCorruptionError, zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError):
        _discard(archive, folder)
        raise DataError(f"the archive of kaggle/{version} is damaged and was removed: {_TRY_AGAIN}") from None
    except (exceptions.BackendError, exceptions.CredentialError, exceptions.KaggleEnvironmentError) as error:
        # Raised in Kaggle's own notebooks.
        raise DataError(f"kagglehub: {error}; {_BY_HAND.removeprefix('or ')}") from None
    except ValueError as error:
        if not archive.exists():  # the error is about the credentials; kagglehub names their file
            raise DataError(str(error)) from None
        _discard(archive, folder)
        raise DataError(
            f"what was downloaded for kaggle/{version} is no archive and was removed; did a proxy or a network's "
            f"log-in page respond instead of Kaggle? {_TRY_AGAIN}, {_BY_HAND}"
        ) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(
                f"no space left for kaggle/{version} in {root}: free {_megabytes(2 * _ARCHIVE_BYTES)} and "
                f"{_TRY_AGAIN}, or let KAGGLEHUB_CACHE name a folder on another disk"
            ) from None
        raise DataError(
            f"cannot store kaggle/{version} in {root}: {error.strerror or error}; let KAGGLEHUB_CACHE name a folder "
            "that can be written"
        ) from None


@contextmanager
def _deadlines(deadline: tuple[float, float]) -> Iterator[None]:
    """Give kagglehub's requests a deadline; kagglesdk has no option for one and would wait for ever."""
    send = requests.Session.send

    def send_with_deadline(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
        return send(session, request, **{"timeout": deadline} | options)

    requests.Session.send = send_with_deadline  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        requests.Session.send = send  # type: ignore[method-assign]


def _connection_failure(error: requests.RequestException, archive: Path) -> str:
    """A message that says why the connection failed, and how much had been downloaded before."""
    if archive.exists():
        kept = _megabytes(archive.stat().st_size)
        return f"the download broke off after {kept}: {_TRY_AGAIN}, and it goes on from there"
    if isinstance(error, requests.exceptions.SSLError):
        return "cannot reach Kaggle: its certificate cannot be verified; is a proxy in between? See REQUESTS_CA_BUNDLE"
    if isinstance(error, requests.exceptions.ProxyError):
        return "cannot reach Kaggle through the proxy that HTTPS_PROXY or HTTP_PROXY names: correct or unset it"
    if isinstance(error, requests.Timeout):
        return f"Kaggle does not respond: wait, then {_TRY_AGAIN}"
    return f"cannot reach Kaggle: is this machine online? If so, {_TRY_AGAIN}; {_BY_HAND}"


def _discard(archive: Path, folder: Path) -> None:
    """Remove what kagglehub would take for complete the next time."""
    archive.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
