"""What the audit keeps of each image: hashes of its content, a thumbnail, and hashes of its appearance."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from tqdm import tqdm

from brain_tumor.image import ImageError, decode
from training.audit.views import QUERIES, REFERENCES, View, head, matrix, sample
from training.data import DataError
from training.workers import cores, workers

SIDE = 96  # pixels a side of the thumbnails
_HASHED = 32  # pixels a side of what is hashed
_SMOOTHED = SIDE / _HASHED / 2  # standard deviation, pixels, before a thumbnail is thinned out to that


@dataclass(frozen=True)
class Fingerprint:
    """One image.

    Attributes:
        file_hash, pixel_hash: SHA-256 of the file, and of its decoded pixels and their shape.
        thumbnail: grey, uint8 (SIDE, SIDE). queries, references: of the views of those names.
    """

    file_hash: str
    pixel_hash: str
    thumbnail: NDArray[np.uint8]
    queries: "Seen"
    references: "Seen"


@dataclass(frozen=True)
class Seen:
    """An image's views: each one's 64-bit perceptual hash, uint64 (view,), and its place, float64 (view, 3, 3)."""

    hashes: NDArray[np.uint64]
    places: NDArray[np.float64]


def fingerprints(folder: Path, files: Sequence[str]) -> list[Fingerprint]:
    """Read every image once, on every core.

    Raises:
        DataError: an image cannot be read; the message names it.
    """
    with workers(cores()) as pool:
        made = pool.imap(partial(fingerprint, folder), files, chunksize=16)
        return list(tqdm(made, total=len(files), desc="fingerprints", unit="image"))


def fingerprint(folder: Path, file: str) -> Fingerprint:
    """Of one image.

    Raises:
        DataError: it cannot be read.
    """
    try:
        data = (folder / file).read_bytes()
        image = decode(data)
    except (ImageError, OSError) as error:
        raise DataError(f"cannot read {folder / file}: {error}") from None
    pixels = hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()
    thumbnail = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))
    smooth = ndimage.gaussian_filter(thumbnail.astype(np.float32), _SMOOTHED)
    points = head(smooth)

    def seen(views: Sequence[View]) -> Seen:
        places = np.stack([matrix(view, points) for view in views])
        return Seen(np.array([_perceptual_hash(sample(smooth, each, _HASHED)) for each in places], np.uint64), places)

    return Fingerprint(hashlib.sha256(data).hexdigest(), pixels, thumbnail, seen(QUERIES), seen(REFERENCES))


def _perceptual_hash(grey: NDArray[np.float32]) -> int:
    bits = imagehash.phash(Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
