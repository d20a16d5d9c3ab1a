"""Whether a description is right, by the accuracy on labelled images: as described, and with one thing changed.

Wrong class names, a wrong scaling or another filter make no error: the model answers, and is wrong.
"""

import dataclasses
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from brain_tumor.image import ImageError
from brain_tumor.metadata import NO_ANTIALIAS, SCALINGS, ImageSpec, ModelMetadata
from brain_tumor.preprocess import Preprocessor
from converter.check.labelled import Labelled
from converter.errors import ConversionError
from converter.graph.head import Head
from converter.graph.scaling import IMAGENET_SCALINGS, network_input
from converter.read.network import Network

_SIGNIFICANT = 0.05
_RESAMPLINGS = ("bilinear", "nearest", NO_ANTIALIAS)  # what the libraries that people load images with do
_MAX_ORDERED = 7  # classes whose orders are all compared: 5040 of them
_BATCH = 4  # images at once; it bounds the memory for the activations of a large model


@dataclass(frozen=True)
class Tried:
    """The description, or an alternative to it, on the labelled images.

    Attributes:
        change: What differs from the description, as it would stand there; empty for the description itself.
        correct: Which images it labels rightly: (image,).
        note: What the change alone does not say.
    """

    change: Mapping[str, Any]
    correct: NDArray[np.bool_]
    note: str = ""

    @property
    def accuracy(self) -> float:
        """The share of images that it labels rightly."""
        return float(self.correct.mean())

    @property
    def text(self) -> str:
        """The change as JSON, without the outer braces."""
        return json.dumps(self.change, ensure_ascii=False)[1:-1] or "as described"


@dataclass(frozen=True)
class Comparison:
    """A description and its alternatives on the same images.

    Attributes:
        given: The description.
        others: The alternatives.
        chance: The accuracy of naming the most frequent class always.
        comparisons: How many alternatives were looked at, each order of the classes counted.
    """

    given: Tried
    others: tuple[Tried, ...]
    chance: float
    comparisons: int

    @property
    def at_chance(self) -> bool:
        """Whether the description is no better than naming the most frequent class always.

        The exact one-sided binomial test against that share, as in caret's confusionMatrix (Kuhn 2008,
        https://doi.org/10.18637/jss.v028.i05).
        """
        correct = self.given.correct
        return upper_tail(int(correct.sum()), len(correct), self.chance) > _SIGNIFICANT

    @property
    def better(self) -> Tried | None:
        """The most accurate alternative, if it is significantly better than the description.

        McNemar's test (1947, https://doi.org/10.1007/BF02295996), exact and one-sided: of the images that only one of
        the two labels rightly, how many would be the alternative's if each were a toss of a coin. The probability is
        multiplied by the number of comparisons (Bonferroni).
        """
        best = max(self.others, key=lambda tried: tried.accuracy)
        gained = int((best.correct & ~self.given.correct).sum())
        lost = int((self.given.correct & ~best.correct).sum())
        return best if self.comparisons * upper_tail(gained, gained + lost, 0.5) < _SIGNIFICANT else None

    @property
    def clearly_right(self) -> Tried | None:
        """``better``, if it labels at least half of those images rightly that chance labels wrongly."""
        better = self.better
        return better if better and better.accuracy >= (1 + self.chance) / 2 else None

    def lines(self) -> Iterator[str]:
        """The table, for people."""
        marked = self.better
        rows = [self.given, *self.others]
        width = max(len(tried.text) for tried in rows)
        for tried in rows:
            notes = ", ".join(filter(None, (tried.note, "significantly better" if tried is marked else "")))
            yield f"  {tried.text:<{width}}  {tried.accuracy:6.1%}  {notes}".rstrip()
        yield f"  {'chance (the most frequent class)':<{width}}  {self.chance:6.1%}"
        if marked is None:
            yield "  no alternative is significantly better"


def compare(
    network: Network, head: Head, metadata: ModelMetadata, images: Labelled, tell: Callable[[str], None]
) -> Comparison:
    """Measure a description and its likely alternatives, one thing changed at a time.

    Args:
        network: The model as it was read.
        head: Its head.
        metadata: The description.
        images: The labelled images.
        tell: Called with a line for people when it is known how long it takes.

    Raises:
        ConversionError: An image cannot be used.
    """
    encoded = [_read(path) for path in images.paths]
    pixels = _prepared(metadata.image, images, encoded)
    started = time.monotonic()
    predicted = _predicted(network, head, metadata.scaling, pixels)
    given = Tried({}, predicted == images.labels)
    variants = list(_variants(metadata, head))
    seconds = (time.monotonic() - started) * len(variants)
    if seconds > 5:
        tell(f"trying {len(variants)} alternatives on {len(encoded)} images, about {seconds:.0f} s ...")
    others = []
    for change, spec, scaling in variants:
        changed = pixels if spec == metadata.image else _prepared(spec, images, encoded)
        same = scaling == metadata.scaling and np.array_equal(changed, pixels)
        labels = predicted if same else _predicted(network, head, scaling, changed)
        others.append(Tried(change, labels == images.labels))
    orders = list(_orders(metadata.class_names, predicted, images.labels))
    count = len(metadata.class_names)
    comparisons = len(variants) + (math.factorial(count) - 1 if count <= _MAX_ORDERED else len(orders))
    return Comparison(given, (*others, *orders), images.chance, comparisons)


def upper_tail(successes: int, trials: int, probability: float) -> float:
    """The probability of at least so many successes, binomially distributed."""
    return math.fsum(
        math.comb(trials, count) * probability**count * (1 - probability) ** (trials - count)
        for count in range(successes, trials + 1)
    )


def _variants(metadata: ModelMetadata, head: Head) -> Iterator[tuple[dict[str, Any], ImageSpec, str]]:
    image = metadata.image
    for scaling in SCALINGS:
        if scaling != metadata.scaling and not (head.channels == 1 and scaling in IMAGENET_SCALINGS):
            yield {"scaling": scaling}, image, scaling
    for resampling in _RESAMPLINGS:
        if resampling != image.resampling:
            spec = dataclasses.replace(image, resampling=resampling)
            yield {"image": {"resampling": resampling}}, spec, metadata.scaling
    crop = not image.crop_to_head
    yield {"image": {"crop_to_head": crop}}, dataclasses.replace(image, crop_to_head=crop), metadata.scaling


def _orders(names: tuple[str, ...], predicted: NDArray[np.intp], labels: NDArray[np.intp]) -> Iterator[Tried]:
    """The class names reversed, and in the order that fits best; ``order[output]`` is an index into the names."""
    count = len(names)
    right = np.zeros((count, count), int)  # (output, label)
    np.add.at(right, (predicted, labels), 1)
    orders = {tuple(range(count))[::-1]: "reversed"}
    if count <= _MAX_ORDERED:
        best = max(itertools.permutations(range(count)), key=lambda order: right[range(count), order].sum())
        orders.setdefault(best, f"the best of {math.factorial(count)} orders")
    for order, note in orders.items():
        if order != tuple(range(count)):
            change = {"class_names": [names[index] for index in order]}
            yield Tried(change, np.asarray(order)[predicted] == labels, note)


def _predicted(network: Network, head: Head, scaling: str, pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    outputs = [
        np.asarray(network.predict(network_input(batch, head.channels, scaling, "float32")), np.float64)
        for batch in (tf.constant(pixels[start : start + _BATCH]) for start in range(0, len(pixels), _BATCH))
    ]
    return head.probabilities(np.concatenate(outputs)).argmax(-1)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConversionError(f"{path}: {error.strerror or error}") from None


def _prepared(spec: ImageSpec, images: Labelled, encoded: list[bytes]) -> NDArray[np.uint8]:
    preprocessor, prepared = Preprocessor(spec), []
    for path, data in zip(images.paths, encoded, strict=True):
        try:
            prepared.append(preprocessor.from_bytes(data))
        except ImageError as error:
            raise ConversionError(f"{path}: {error}") from None
    return np.concatenate(prepared)
