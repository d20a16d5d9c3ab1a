"""Gets a data set ready: fetches or makes its images, or takes a folder, and compares them with their manifest."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from brain_tumor.metadata import PHANTOM
from training.data import manifest
from training.data.data_set import DataSet, find
from training.data.errors import DataError
from training.data.fetch import COUNTS, fetch, unexpected_counts
from training.data.listing import list_images, name_of
from training.layout import MANIFEST, SPLITS

log = logging.getLogger(__name__)

_KAGGLE = {f"kaggle/{version}": version for version in COUNTS}
_MAX_LISTED = 20  # images of each kind of difference; of the others only the number is reported


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the argument SOURCE, as ``ready`` takes it."""
    parser.add_argument(
        "source", metavar="SOURCE",
        help=f"{' or '.join(_KAGGLE)}: that version of the Kaggle set, in kagglehub's cache (KAGGLEHUB_CACHE); "
        f"{PHANTOM}: the synthetic set; or a folder that holds Training/CLASS/IMAGE and Testing/CLASS/IMAGE",
    )  # fmt: skip


def ready(
    source: str,
    *,
    out: Path | None = None,
    phantom_options: Sequence[str] = (),
    manifest_file: Path | None = None,
    only_check: bool = False,
) -> DataSet:
    """Fetch or make the images unless they are there, and compare them with their manifest.

    Where there is no manifest, it is written.

    Args:
        source: A version of the Kaggle set, the phantom, or a folder.
        out: The phantom's folder.
        phantom_options: Options of ``python -m training.phantom``.
        manifest_file: A manifest elsewhere than beside the images.
        only_check: Write no manifest.

    Raises:
        DataError: The images cannot be had, or differ from the manifest.
        PhantomError: The phantom cannot be made.
    """
    folder = _folder(source, out, phantom_options, only_check).absolute()
    try:
        list_images(folder)
    except DataError as error:
        if source in _KAGGLE:
            raise DataError(
                f"what Kaggle sent has another layout than before: {error}; remove {folder} to try again"
            ) from None
        raise
    _compare_with_manifest(folder, manifest_file, only_check)
    data = find(folder)
    for message in unexpected_counts(_KAGGLE[source], data) if source in _KAGGLE else ():
        log.warning("warning: %s", message)
    return data


def _folder(source: str, out: Path | None, phantom_options: Sequence[str], only_check: bool) -> Path:
    """The folder of the images, which are fetched or made before."""
    if source in _KAGGLE:
        return fetch(_KAGGLE[source])
    if source == PHANTOM:
        folder = out or Path("data") / PHANTOM
        if phantom_options or not (folder.exists() or only_check):
            from training.phantom import command, dataset  # they import SciPy, which the other sources do not need

            plan, workers = command.parse_options(phantom_options)
            log.info("%d images written to %s", dataset.write(plan, folder, workers), folder)
        return folder
    folder = Path(source)
    if not folder.exists() and source.partition("/")[0] == "kaggle":
        raise DataError(f"there is no {source}: name {' or '.join(_KAGGLE)}")
    return folder


def _compare_with_manifest(folder: Path, manifest_file: Path | None, only_check: bool) -> None:
    """Compare the images with their manifest, or write it where there is none."""
    path = manifest_file or folder / MANIFEST
    present = manifest.read(path) if path.exists() else None
    if present is None and only_check:
        raise DataError(f"there is no {path} to check against: without --check it is written")
    _, files = list_images(folder)
    hashes = manifest.hash_files(folder, [file for split in SPLITS for file in files[split]])
    if present is None:
        _save(manifest.describe(name_of(folder), hashes), path, required=manifest_file is not None)
        return
    if differences := present.compare(hashes):
        _log(differences)
        counts = ", ".join(f"{len(differing)} {kind}" for kind, differing in vars(differences).items())
        raise DataError(
            f"the images of {folder} differ from {path} ({counts}): bring the images back, or remove the manifest to "
            "take them as they are"
        )
    if present.complete:
        log.info("%d images are as %s says", len(hashes), path)
    elif only_check:
        raise DataError(f"{path} has no hash of some images: without --check they are added")
    else:
        _save(present.with_hashes(hashes), path, required=manifest_file is not None)


def _save(new: manifest.Manifest, path: Path, required: bool) -> None:
    """Write a manifest.

    A mounted cache may be read-only; the data can be used without a manifest, so that is only a warning.

    Args:
        new: The manifest.
        path: The file to write.
        required: Whether a failure is an error, because the user named the file.

    Raises:
        DataError: A required manifest cannot be written.
    """
    try:
        new.save(path)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        if required:
            raise DataError(f"{message}; name another file with --manifest") from None
        log.warning("warning: %s; the data can be used without it, or name another file with --manifest", message)
    else:
        log.info("written: %s", path)


def _log(differences: manifest.Differences) -> None:
    for kind, files in vars(differences).items():
        for file in files[:_MAX_LISTED]:
            log.warning("%s: %s", kind, file)
        if len(files) > _MAX_LISTED:
            log.warning("%s: %d more", kind, len(files) - _MAX_LISTED)
