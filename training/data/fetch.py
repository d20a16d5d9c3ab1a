"""The Kaggle set by kagglehub, with its cache and its resume: versions that stay what they are, no account needed.

What can go wrong on the way ends in one line that says what to do about it.
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

from training.data import TESTING, TRAINING, DataSet
from training.data.layout import DataError

log = logging.getLogger(__name__)

HANDLE = "masoudnickparvar/brain-tumor-mri-dataset"
CLASSES = ("glioma", "meningioma", "notumor", "pituitary")
# Images of each version by split and class, in the order of CLASSES, as counted when this was written.
COUNTS: Mapping[int, Mapping[str, tuple[int, ...]]] = {
    1: {TRAINING: (1321, 1339, 1595, 1457), TESTING: (300, 306, 405, 300)},
    2: {TRAINING: (1400,) * 4, TESTING: (400,) * 4},
}
_ARCHIVE_BYTES = 160_000_000  # about, of either version; its images take as much again
_DEADLINE = (10.0, 60.0)  # seconds to connect, and between two pieces of the answer
_AGAIN = "run the same command again"
_BY_HAND = f"or fetch https://www.kaggle.com/datasets/{HANDLE} by hand, unpack it, and name its folder"
_NO_CREDENTIALS = (
    "this set needs none, so unset KAGGLE_API_TOKEN, KAGGLE_USERNAME and KAGGLE_KEY and move ~/.kaggle away, "
)
_REFUSALS = {
    401: f"it was sent credentials that it does not accept: {_NO_CREDENTIALS}{_BY_HAND}",
    403: f"credentials that it does not accept may be why: {_NO_CREDENTIALS}{_BY_HAND}",
    404: f"it has no such version (any more): take the other one, {_BY_HAND}",
    429: f"it had too many requests from here: wait some minutes, then {_AGAIN}",
}


def fetch(version: int, deadline: tuple[float, float] = _DEADLINE) -> Path:
    """The folder of a version of the Kaggle set, in kagglehub's cache; what is there already is not fetched again.

    Args:
        version: one of ``COUNTS``. deadline: seconds to connect, and between two pieces of the answer.

    Raises:
        DataError: it cannot be fetched or kept; the message says what to do. What came stays for the next try.
    """
    with redirect_stdout(sys.stderr):  # kagglehub's messages; standard output is for the result
        import kagglehub  # type: ignore[import-untyped]  # its log goes where standard output points now
        from kagglehub import cache, config, handle  # type: ignore[import-untyped]

        name = handle.parse_dataset_handle(f"{HANDLE}/versions/{version}")
        root, archive = Path(config.get_cache_folder()), Path(cache.get_cached_archive_path(name))
        with _explained(version, root, archive, Path(cache.get_cached_path(name))), _deadlines(deadline):
            if not cache.Cache().load_from_cache(name):
                log.info("fetching kaggle/%d into %s", version, root)
                require_space(root, 2 * _ARCHIVE_BYTES - (archive.stat().st_size if archive.exists() else 0))
            return Path(kagglehub.dataset_download(str(name)))


def require_space(folder: Path, needed: int) -> None:
    """Find out before a download whether ``folder``, which need not be there yet, has room for ``needed`` bytes.

    Raises:
        DataError: it has less.
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise DataError(
            f"{folder} has {_megabytes(free)} free, and about {_megabytes(needed)} are needed: free some, or let "
            "KAGGLEHUB_CACHE name a folder on another disk"
        )


def surprises(version: int, found: DataSet) -> list[str]:
    """Where what was fetched has other numbers of images than were counted before, in words."""
    said = []
    for split, files in ((TRAINING, found.training), (TESTING, found.testing)):
        expected = dict(zip(CLASSES, COUNTS[version][split], strict=True))
        for name in sorted({*expected, *found.class_names}):
            count = sum(file.startswith(f"{split}/{name}/") for file in files)
            if count != expected.get(name, 0):
                said.append(f"{split}/{name} has {count} images, not the {expected.get(name, 0)} known of this version")
    return said


@contextmanager
def _explained(version: int, root: Path, archive: Path, folder: Path) -> Iterator[None]:
    """Turn what kagglehub raises into a DataError.

    Args:
        root: kagglehub's cache. archive, folder: where in it the set is downloaded and unpacked to.
    """
    from kagglehub import exceptions

    try:
        yield
    except requests.HTTPError as error:
        status = error.response.status_code
        trouble = "it has trouble of its own: wait, then" if status >= 500 else "it does not say why:"
        advice = _REFUSALS.get(status, f"{trouble} {_AGAIN}, {_BY_HAND}")
        raise DataError(f"Kaggle refuses kaggle/{version} with status {status}; {advice}") from None
    except requests.RequestException as error:
        raise DataError(_disconnected(error, archive)) from None
    except (exceptions.DataCorruptionError, zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError):
        _discard(archive, folder)
        raise DataError(f"the archive of kaggle/{version} came damaged and was removed: {_AGAIN}") from None
    except (exceptions.BackendError, exceptions.CredentialError, exceptions.KaggleEnvironmentError) as error:
        raise DataError(f"kagglehub: {error}; {_BY_HAND.removeprefix('or ')}") from None  # in Kaggle's own notebooks
    except ValueError as error:
        if not archive.exists():  # of the credentials; kagglehub names their file
            raise DataError(str(error)) from None
        _discard(archive, folder)
        raise DataError(
            f"what came for kaggle/{version} is no archive and was removed; does a proxy or a network's log-in page "
            f"answer instead of Kaggle? {_AGAIN}, {_BY_HAND}"
        ) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(
                f"no space left for kaggle/{version} in {root}: free {_megabytes(2 * _ARCHIVE_BYTES)} and {_AGAIN}, "
                "or let KAGGLEHUB_CACHE name a folder on another disk"
            ) from None
        raise DataError(
            f"cannot keep kaggle/{version} in {root}: {error.strerror or error}; let KAGGLEHUB_CACHE name a folder "
            "that can be written"
        ) from None


@contextmanager
def _deadlines(deadline: tuple[float, float]) -> Iterator[None]:
    """Give kagglehub's requests a deadline: kagglesdk sets none and takes none, and would wait for ever."""
    send = requests.Session.send

    def send_with_deadline(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
        return send(session, request, **{"timeout": deadline} | options)

    requests.Session.send = send_with_deadline  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        requests.Session.send = send  # type: ignore[method-assign]


def _disconnected(error: requests.RequestException, archive: Path) -> str:
    """What broke, and whether something came before."""
    if archive.exists():
        kept = _megabytes(archive.stat().st_size)
        return f"the download broke off with {kept} here: {_AGAIN}, and it goes on from there"
    if isinstance(error, requests.exceptions.SSLError):
        return "cannot reach Kaggle: its certificate cannot be verified; is a proxy in between? See REQUESTS_CA_BUNDLE"
    if isinstance(error, requests.exceptions.ProxyError):
        return "cannot reach Kaggle through the proxy that HTTPS_PROXY or HTTP_PROXY names: mend or unset it"
    if isinstance(error, requests.Timeout):
        return f"Kaggle does not answer: wait, then {_AGAIN}"
    return f"cannot reach Kaggle: is this machine online? If so, {_AGAIN}; {_BY_HAND}"


def _discard(archive: Path, folder: Path) -> None:
    """Remove what would be taken for whole the next time."""
    archive.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
