"""Reduces each image to what the audit compares: hashes of its content, a thumbnail, and hashes of its views."""

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
from portable_model_server.engines.cpu import cpu_limit
from training.audit.views import QUERIES, REFERENCES, View, head, matrix, sample
from training.data.errors import DataError
from training.workers import workers

SIDE = 96  # pixels a side of the thumbnails
_HASH_SIDE = 32  # pixels a side of the image that is hashed
_SMOOTHING = SIDE / _HASH_SIDE / 2  # standard deviation, in pixels, of the blur before a thumbnail is reduced to that


@dataclass(frozen=True)
class HashedViews:
    """The perceptual hashes of an image's views.

    Attributes:
        hashes: The 64-bit hash of each view: uint64 (view,).
        matrices: Maps each view's coordinates to the image's: float64 (view, 3, 3).
    """

    hashes: NDArray[np.uint64]
    matrices: NDArray[np.float64]


@dataclass(frozen=True)
class Fingerprint:
    """The fingerprint of one image.

    Attributes:
        file_hash: SHA-256 of the file.
        pixel_hash: SHA-256 of the decoded pixels and their shape.
        thumbnail: The grey image: uint8 (SIDE, SIDE).
        queries: The hashes of the views QUERIES.
        references: The hashes of the views REFERENCES.
    """

    file_hash: str
    pixel_hash: str
    thumbnail: NDArray[np.uint8]
    queries: HashedViews
    references: HashedViews


def fingerprints(folder: Path, files: Sequence[str]) -> list[Fingerprint]:
    """The fingerprint of each image, made on all cores.

    Args:
        folder: The data set's folder.
        files: Paths of the images, relative to ``folder``.

    Raises:
        DataError: An image cannot be read; the message names it.
    """
    with workers(cpu_limit()) as pool:
        results = pool.imap(partial(fingerprint, folder), files, chunksize=16)
        return list(tqdm(results, total=len(files), desc="fingerprints", unit="image"))


def fingerprint(folder: Path, file: str) -> Fingerprint:
    """The fingerprint of one image.

    Raises:
        DataError: The image cannot be read.
    """
    try:
        data = (folder / file).read_bytes()
        image = decode(data)
    except (ImageError, OSError) as error:
        raise DataError(f"cannot read {folder / file}: {error}") from None
    pixel_hash = hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()
    thumbnail = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))
    smooth = ndimage.gaussian_filter(thumbnail.astype(np.float32), _SMOOTHING)
    points = head(smooth)

    def hashed(views: Sequence[View]) -> HashedViews:
        matrices = np.stack([matrix(view, points) for view in views])
        hashes = [_perceptual_hash(sample(smooth, to_image, _HASH_SIDE)) for to_image in matrices]
        return HashedViews(np.array(hashes, np.uint64), matrices)

    return Fingerprint(hashlib.sha256(data).hexdigest(), pixel_hash, thumbnail, hashed(QUERIES), hashed(REFERENCES))


def _perceptual_hash(grey: NDArray[np.float32]) -> int:
    bits = imagehash.phash(Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
