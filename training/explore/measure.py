"""Each image as a few numbers, and sums over all of them; no more than a few images are held at a time."""

import io
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from brain_tumor.image import FORMATS, ImageError, Preprocessor, decode
from training.data import DataError, DataSet

SIDE = 160  # of the averages and samples, pixels
BLACK = 16  # grey levels below this are black: JPEG and a scanner's noise leave no exact 0
FRAME = 0.03  # of the shorter side, rounded, at least a pixel: the width of the border
_GREY_LEVELS = np.arange(256, dtype=np.float64)
_CHUNK = 256  # images whose results may wait


class Measured(NamedTuple):
    """An image's numbers: sides in pixels, upright, grey levels of 0 to 255, shares of 0 to 1.

    Attributes:
        format, mode: as Pillow names them, of the file.
        mean, standard_deviation: over all pixels. black: the share of pixels that are black.
        border_mean, border_standard_deviation, border_black: the same of the border alone.
    """

    file: str
    split: str
    class_name: str
    width: int
    height: int
    format: str
    mode: str
    bytes: int
    mean: float
    standard_deviation: float
    black: float
    border_mean: float
    border_standard_deviation: float
    border_black: float


class Average:
    """Sums over grey images of one size; they are whole numbers, so the order in which images come is nothing."""

    def __init__(self, side: int = SIDE) -> None:
        self.count = 0
        self._sum = np.zeros((side, side), np.int64)
        self._squares = np.zeros((side, side), np.int64)

    def add(self, grey: NDArray[np.uint8]) -> None:
        """Take in an image: uint8 (side, side)."""
        values = grey.astype(np.int64)
        self.count += 1
        self._sum += values
        self._squares += values**2

    @property
    def mean(self) -> NDArray[np.float64]:
        """(side, side), grey levels; of at least one image."""
        return self._sum / self.count

    @property
    def variance(self) -> NDArray[np.float64]:
        """(side, side), over the images, of each pixel."""
        return self._squares / self.count - self.mean**2

    @classmethod
    def of(cls, parts: Iterable["Average"]) -> "Average":
        """All images of several averages of one side."""
        parts = list(parts)
        whole = cls(len(parts[0]._sum))
        for part in parts:
            whole.count += part.count
            whole._sum += part._sum
            whole._squares += part._squares
        return whole


@dataclass(frozen=True)
class Survey:
    """What one look at every image gave.

    Attributes:
        images: in the data set's order, Training first.
        averages: by split and class. samples: uint8 (SIDE, SIDE, 3) by relative path.
    """

    images: list[Measured]
    averages: dict[tuple[str, str], Average]
    samples: dict[str, NDArray[np.uint8]]


def measure(data: DataSet, samples: Iterable[str] = ()) -> Survey:
    """Look at every image once, and keep ``samples`` as a model sees them.

    Raises:
        DataError: an image cannot be read; the message names it.
    """
    survey = Survey([], {}, dict.fromkeys(samples, np.empty(0, np.uint8)))
    for measured, pixels in _look(data):
        survey.images.append(measured)
        average = survey.averages.setdefault((measured.split, measured.class_name), Average())
        average.add(np.asarray(Image.fromarray(pixels).convert("L")))
        if measured.file in survey.samples:
            survey.samples[measured.file] = pixels
    return survey


def measured(data: bytes, file: str, preprocessor: Preprocessor) -> tuple[Measured, NDArray[np.uint8]]:
    """One encoded image's numbers, and the image as a model sees it: uint8 (height, width, 3).

    Raises:
        ImageError: it cannot be used.
    """
    image = decode(data, preprocessor.max_pixels)
    with Image.open(io.BytesIO(data), formats=list(FORMATS)) as header:
        kind = header.format or "", header.mode
    grey = image.convert("L")
    width, height = image.size
    frame = max(1, round(FRAME * min(width, height)))
    levels = np.array(grey.histogram())
    inside = np.array(grey.crop((frame, frame, width - frame, height - frame)).histogram())
    split, class_name, _ = PurePosixPath(file).parts
    numbers = Measured(
        file, split, class_name, width, height, *kind, len(data), *_moments(levels), *_moments(levels - inside)
    )
    return numbers, preprocessor.convert_to_tensor(image)[0]


def _look(data: DataSet) -> Iterator[tuple[Measured, NDArray[np.uint8]]]:
    """Every image in order, decoded by several threads a chunk at a time."""
    preprocessor = Preprocessor(SIDE, SIDE)
    files = [*data.training, *data.testing]

    def one(file: str) -> tuple[Measured, NDArray[np.uint8]]:
        try:
            return measured((data.folder / file).read_bytes(), file, preprocessor)
        except (ImageError, OSError) as error:
            raise DataError(f"cannot read {data.folder / file}: {error}") from error

    with ThreadPoolExecutor() as pool, tqdm(total=len(files), desc="measuring", unit="image") as progress:
        for start in range(0, len(files), _CHUNK):
            for result in pool.map(one, files[start : start + _CHUNK]):
                yield result
                progress.update()


def _moments(histogram: NDArray[np.int64]) -> tuple[float, float, float]:
    """Mean, standard deviation and black share of the pixels that a histogram of 256 grey levels counts."""
    pixels = histogram.sum()
    mean = histogram @ _GREY_LEVELS / pixels
    spread = np.sqrt(histogram @ (_GREY_LEVELS - mean) ** 2 / pixels)
    return round(float(mean), 4), round(float(spread), 4), round(float(histogram[:BLACK].sum() / pixels), 6)
