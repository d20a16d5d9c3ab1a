"""Measures each image as a few numbers and sums images up; only a few images are in memory at a time."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from brain_tumor.image import ImageError, decode, describe
from brain_tumor.metadata import ImageSpec
from brain_tumor.preprocess import Preprocessor
from training.data.data_set import DataSet
from training.data.errors import DataError

SIDE = 160  # pixels a side of the averages and samples
BLACK = 16  # grey levels below this are black: JPEG and a scanner's noise leave no exact 0
FRAME = 0.03  # width of the border as a share of the shorter side; rounded, at least a pixel
_GREY_LEVELS = np.arange(256, dtype=np.float64)
_CHUNK = 256  # images that are decoded ahead


class Measured(NamedTuple):
    """The numbers of an image; grey levels go from 0 to 255, shares from 0 to 1.

    Attributes:
        file: Path in the data set.
        split: Training or Testing.
        class_name: The image's class.
        width: Width of the upright image, in pixels.
        height: Height of the upright image, in pixels.
        format: The file's format, as Pillow names it.
        mode: The file's mode, as Pillow names it.
        bytes: Size of the file.
        mean: Mean grey level.
        standard_deviation: Standard deviation of the grey levels.
        black: Share of the pixels that are black.
        border_mean: Mean grey level of the border.
        border_standard_deviation: Standard deviation of the border's grey levels.
        border_black: Share of the border's pixels that are black.
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
    """Sums over grey images of one size. They are whole numbers, so the order of the images does not matter."""

    def __init__(self, side: int = SIDE) -> None:
        self.count = 0
        self._sum = np.zeros((side, side), np.int64)
        self._squares = np.zeros((side, side), np.int64)

    def add(self, grey: NDArray[np.uint8]) -> None:
        """Add an image: uint8 (side, side)."""
        values = grey.astype(np.int64)
        self.count += 1
        self._sum += values
        self._squares += values**2

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean grey level of each pixel; needs at least one image: float64 (side, side)."""
        return self._sum / self.count

    @property
    def variance(self) -> NDArray[np.float64]:
        """The variance of each pixel over the images: float64 (side, side)."""
        return self._squares / self.count - self.mean**2

    @classmethod
    def of(cls, parts: Iterable["Average"]) -> "Average":
        """The average over all images of several averages of one size."""
        parts = list(parts)
        whole = cls(len(parts[0]._sum))
        for part in parts:
            whole.count += part.count
            whole._sum += part._sum
            whole._squares += part._squares
        return whole


@dataclass(frozen=True)
class Survey:
    """The measurements of a whole data set.

    Attributes:
        images: The numbers of each image, in the data set's order, Training first.
        averages: The average image, by split and class.
        samples: Some images as a model sees them, by relative path: uint8 (SIDE, SIDE, 3).
    """

    images: list[Measured]
    averages: dict[tuple[str, str], Average]
    samples: dict[str, NDArray[np.uint8]]


def measure(data: DataSet, samples: Iterable[str] = ()) -> Survey:
    """Measure every image once.

    Args:
        data: The data set.
        samples: Paths of the images to keep as a model sees them.

    Raises:
        DataError: An image cannot be read; the message names it.
    """
    survey = Survey([], {}, dict.fromkeys(samples, np.empty(0, np.uint8)))
    for image, pixels in _measure_all(data):
        survey.images.append(image)
        average = survey.averages.setdefault((image.split, image.class_name), Average())
        average.add(np.asarray(Image.fromarray(pixels).convert("L")))
        if image.file in survey.samples:
            survey.samples[image.file] = pixels
    return survey


def measure_image(
    data: bytes, file: str, split: str, class_name: str, preprocessor: Preprocessor
) -> tuple[Measured, NDArray[np.uint8]]:
    """Measure an encoded image.

    Args:
        data: The file's content.
        file: The file's path in the data set.
        split: Training or Testing.
        class_name: The image's class.
        preprocessor: The preprocessing of a model.

    Returns:
        The image's numbers, and the image as a model sees it: uint8 (height, width, 3).

    Raises:
        ImageError: The image cannot be decoded or is refused.
    """
    image = decode(data, preprocessor.max_pixels)
    kind = describe(data)
    grey = image.convert("L")
    width, height = image.size
    frame = max(1, round(FRAME * min(width, height)))
    levels = np.array(grey.histogram())
    inside = np.array(grey.crop((frame, frame, width - frame, height - frame)).histogram())
    numbers = Measured(
        file, split, class_name, width, height, *kind, len(data), *_moments(levels), *_moments(levels - inside)
    )
    return numbers, preprocessor.convert_to_tensor(image)[0]


def _measure_all(data: DataSet) -> Iterator[tuple[Measured, NDArray[np.uint8]]]:
    """Measure every image, in order; several threads decode a chunk at a time."""
    preprocessor = Preprocessor(ImageSpec(SIDE, SIDE))
    files = [*data.training, *data.testing]

    def measure_file(file: str) -> tuple[Measured, NDArray[np.uint8]]:
        try:
            content = (data.folder / file).read_bytes()
            return measure_image(content, file, data.split_of(file), data.classes[file], preprocessor)
        except (ImageError, OSError) as error:
            raise DataError(f"cannot read {data.folder / file}: {error}") from error

    with ThreadPoolExecutor() as pool, tqdm(total=len(files), desc="measuring", unit="image") as progress:
        for start in range(0, len(files), _CHUNK):
            for result in pool.map(measure_file, files[start : start + _CHUNK]):
                yield result
                progress.update()


def _moments(histogram: NDArray[np.int64]) -> tuple[float, float, float]:
    """Mean, standard deviation and black share of the pixels that a histogram of 256 grey levels counts."""
    pixels = histogram.sum()
    mean = histogram @ _GREY_LEVELS / pixels
    spread = np.sqrt(histogram @ (_GREY_LEVELS - mean) ** 2 / pixels)
    return round(float(mean), 4), round(float(spread), 4), round(float(histogram[:BLACK].sum() / pixels), 6)
