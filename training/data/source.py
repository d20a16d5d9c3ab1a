"""Gets a data set ready: fetches or makes its images, or takes a folder, and compares them with their manifest."""

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from brain_tumor.metadata import PHANTOM
from brain_tumor.quality.patients import MANIFEST
from training.data import figshare, manifest
from training.data.data_set import DataSet, find
from training.data.errors import DataError
from training.data.fetch import COUNTS, fetch, unexpected_counts
from training.data.healthy import not_known
from training.data.listing import Listing, list_images

log = logging.getLogger(__name__)

_KAGGLE = {f"kaggle/{version}": version for version in COUNTS}
_MAX_LISTED = 20  # images of each kind of difference; of the others only the number is reported


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the argument SOURCE, as ``ready`` takes it."""
    parser.add_argument(
        "source", metavar="SOURCE",
        help=f"{' or '.join(_KAGGLE)}: that version of the Kaggle set, in kagglehub's cache (KAGGLEHUB_CACHE); "
        f"{PHANTOM}: the synthetic set; a folder of images, Training/CLASS/IMAGE and Testing/CLASS/IMAGE (or other "
        "usual names of these two), or CLASS/IMAGE alone; or a folder with the .mat files, or the ZIPs of them, of "
        "figshare's set (Cheng 2017), which become images",
    )  # fmt: skip


def ready(
    source: str,
    *,
    out: Path | None = None,
    phantom_options: Sequence[str] = (),
    manifest_file: Path | None = None,
    only_check: bool = False,
    healthy: str | None = None,
) -> DataSet:
    """Fetch or make the images unless they are there, and compare them with their manifest.

    Where there is no manifest, or it lacks something, it is written.

    Args:
        source: A version of the Kaggle set, the phantom, or a folder of images or of figshare's files.
        out: The folder of the phantom, or of the images made of figshare's files.
        phantom_options: Options of ``python -m training.phantom``.
        manifest_file: A manifest elsewhere than beside the images.
        only_check: Write no manifest.
        healthy: The class without tumour, where the user names it; the manifest keeps the name.

    Raises:
        DataError: The images cannot be had, or differ from the manifest.
        PhantomError: The phantom cannot be made.
    """
    folder = _folder(source, out, phantom_options, only_check).absolute()
    try:
        listing = list_images(folder)
        if source in _KAGGLE and not listing.splits:
            raise DataError(f"{folder} has no test folder")
    except DataError as error:
        if source in _KAGGLE:
            raise DataError(
                f"what Kaggle sent has another layout than before: {error}; remove {folder} to try again"
            ) from None
        raise
    data = _compare_with_manifest(listing, manifest_file, only_check, healthy)
    for message in unexpected_counts(_KAGGLE[source], data) if source in _KAGGLE else ():
        log.warning("warning: %s", message)
    return data


def makes_images(source: str) -> bool:
    """Whether images are made for a source, so that ``--out`` names their folder."""
    return source == PHANTOM or (source not in _KAGGLE and figshare.is_figshare(Path(source)))


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
    if figshare.is_figshare(folder):
        out = out or Path("data") / figshare.FIGSHARE
        if not only_check:
            log.info("%d images in %s", figshare.write(folder, out), out)
        return out
    if not folder.exists() and source.partition("/")[0] == "kaggle":
        raise DataError(f"there is no {source}: name {' or '.join(_KAGGLE)}")
    return folder


def _compare_with_manifest(
    listing: Listing, manifest_file: Path | None, only_check: bool, healthy: str | None
) -> DataSet:
    """Compare the images with their manifest, and write what it lacks, or all of it where there is none."""
    folder = listing.folder
    path = manifest_file or folder / MANIFEST
    present = manifest.read(path) if path.exists() else None
    if present is None and only_check:
        raise DataError(f"there is no {path} to check against: without --check it is written")
    hashes = manifest.hash_files(folder, sorted(listing.classes))
    differences = present.compare(hashes) if present else None
    if differences:
        _log(differences)
        counts = ", ".join(f"{len(differing)} {kind}" for kind, differing in vars(differences).items())
        raise DataError(
            f"the images of {folder} differ from {path} ({counts}): bring the images back, or remove the manifest to "
            "take them as they are"
        )
    data = find(folder, healthy)
    if data.healthy is None:  # several that may be it are an error here already, before the long work
        log.warning("warning: %s", not_known(data.class_names))
    complete = _completed(present, path, data, hashes)
    if complete == present:
        log.info("%d images are as %s says", len(hashes), path)
    elif only_check:
        raise DataError(f"{path} lacks the hash, the class or the split of some images: without --check they are added")
    else:
        _save(complete, path, required=manifest_file is not None)
    return data


def _completed(
    present: manifest.Manifest | None, path: Path, data: DataSet, hashes: Mapping[str, str]
) -> manifest.Manifest:
    """The manifest with everything that it does not say of the images yet.

    Raises:
        DataError: A manifest elsewhere than beside the images says another class or split of one.
    """
    entries = present.entries if present else {file: {"file": file} for file in (*data.training, *data.testing)}
    completed = {}
    for file, entry in entries.items():
        known = {"class": data.classes[file], "split": data.split_of(file), "sha256": hashes[file]}
        whole = entry | {key: value for key, value in known.items() if entry.get(key) is None}
        if whole != whole | known:
            raise DataError(
                f"{path} has {file} in {whole['split']}/{whole['class']}, and the images' folder has it in "
                f"{known['split']}/{known['class']}: remove the manifest"
            )
        completed[file] = whole
    others = dict(present.others) if present else {}
    if data.named_healthy is not None:
        others["healthy"] = data.named_healthy
    if data.drawn and "drawn" not in others:
        from training.data.drawn import SEED, SHARE  # imports scikit-learn, as the drawing did

        others["drawn"] = {"testing": SHARE, "seed": SEED, "together": "images of one patient, and copies of a file"}
    return manifest.Manifest(present.name if present else data.name, completed, others)


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
