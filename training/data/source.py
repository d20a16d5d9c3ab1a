"""Where images come from: Kaggle, the phantom, or a folder; and whether they are what their manifest says."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from brain_tumor.metadata import PHANTOM
from training.data import DataSet, find, layout, manifest
from training.data.fetch import COUNTS, fetch, surprises
from training.data.layout import DataError

log = logging.getLogger(__name__)

_KAGGLE = {f"kaggle/{version}": version for version in COUNTS}
_NAMED = 20  # images of each kind of difference; after them only their number


def add_source(parser: argparse.ArgumentParser) -> None:
    """SOURCE, as ``ready`` takes it."""
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
    """Fetch or make the images, unless they are there, and hold them to their manifest, which is written if need be.

    Args:
        out: the phantom's folder. phantom_options: as python -m training.phantom takes them.
        manifest_file: instead of the one beside the images. only_check: write no manifest.

    Raises:
        DataError: they cannot be had, or are not what the manifest says.
    """
    folder = _folder(source, out, phantom_options, only_check).absolute()
    try:
        layout.look(folder)
    except DataError as error:
        if source in _KAGGLE:
            raise DataError(f"what Kaggle sent is not what it was: {error}; remove {folder} to try again") from None
        raise
    _hold_to_manifest(folder, manifest_file, only_check)
    found = find(folder)
    for surprise in surprises(_KAGGLE[source], found) if source in _KAGGLE else ():
        log.warning("warning: %s", surprise)
    return found


def _folder(source: str, out: Path | None, phantom_options: Sequence[str], only_check: bool) -> Path:
    """Where the images lie, once they do."""
    if source in _KAGGLE:
        return fetch(_KAGGLE[source])
    if source == PHANTOM:
        phantom = out or Path("data") / PHANTOM
        if phantom_options or not (phantom.exists() or only_check):
            from training.phantom.__main__ import main as make_phantom  # not for the others: SciPy

            make_phantom([str(phantom), *phantom_options])
        return phantom
    folder = Path(source)
    if not folder.exists() and source.partition("/")[0] == "kaggle":
        raise DataError(f"there is no {source}: name {' or '.join(_KAGGLE)}")
    return folder


def _hold_to_manifest(folder: Path, elsewhere: Path | None, only_check: bool) -> None:
    """Write the manifest, or compare the images with the one that is there."""
    path = elsewhere or folder / manifest.MANIFEST
    known = manifest.read(path) if path.exists() else None
    if known is None and only_check:
        raise DataError(f"there is no {path} to check against: without --check it is written")
    _, files = layout.look(folder)
    hashes = manifest.hash_files(folder, [file for split in layout.SPLITS for file in files[split]])
    if known is None:
        _save(manifest.describe(layout.name_of(folder), hashes), path, needed=elsewhere is not None)
        return
    if differences := known.compare(hashes):
        _report(differences)
        counts = ", ".join(f"{len(files)} {kind}" for kind, files in vars(differences).items())
        raise DataError(
            f"{folder} is not what {path} says ({counts}): bring the images back, or remove the manifest to take "
            "them as they are"
        )
    if known.complete:
        log.info("%d images are what %s says", len(hashes), path)
    elif only_check:
        raise DataError(f"{path} has no hash of some images: without --check they are added")
    else:
        _save(known.with_hashes(hashes), path, needed=elsewhere is not None)


def _save(new: manifest.Manifest, path: Path, needed: bool) -> None:
    """Write it, which a mounted cache may not allow; the data can be used all the same."""
    try:
        new.save(path)
    except OSError as error:
        said = f"cannot write {path}: {error.strerror}"
        if needed:
            raise DataError(f"{said}; name another file with --manifest") from None
        log.warning("warning: %s; the data can be used without, or name another file with --manifest", said)
    else:
        log.info("written: %s", path)


def _report(differences: manifest.Differences) -> None:
    for kind, files in vars(differences).items():
        for file in files[:_NAMED]:
            log.warning("%s: %s", kind, file)
        if len(files) > _NAMED:
            log.warning("%s: %d more", kind, len(files) - _NAMED)
