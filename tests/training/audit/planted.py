"""Plants copies in a data set: images as they change on the way from one collection into another."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("glioma", "meningioma", "notumor", "pituitary")
Change = Callable[[Image.Image, np.random.Generator], Image.Image]


def _turned(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.rotate(rng.uniform(-15, 15), Image.Resampling.BICUBIC)


def _right_angle(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    ways = (
        Image.Transpose.ROTATE_90,
        Image.Transpose.ROTATE_180,
        Image.Transpose.ROTATE_270,
        Image.Transpose.TRANSPOSE,
    )
    return image.transpose(ways[rng.integers(len(ways))])


def _mirrored(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _rescaled(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    width, height = (round(side * rng.uniform(0.5, 1.6)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    left, top, right, bottom = (rng.uniform(0, 0.05, 4) * image.width).astype(int).tolist()
    return image.crop((left, top, image.width - right, image.height - bottom))


def _relit(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    gain, offset = rng.uniform(0.75, 1.2), rng.uniform(-5, 15)
    return image.point(lambda level: level * gain + offset)


def _banner_over(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    image = image.copy()
    height = round(image.height * rng.uniform(0.06, 0.13))
    top = 0 if rng.random() < 0.5 else image.height - height
    _banner(ImageDraw.Draw(image), top, image.width, height, rng)
    return image


def _banner_beside(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    height = round(image.height * rng.uniform(0.06, 0.15))
    longer = Image.new("L", (image.width, image.height + height))
    above = rng.random() < 0.5
    longer.paste(image, (0, height if above else 0))
    _banner(ImageDraw.Draw(longer), 0 if above else image.height, image.width, height, rng)
    return longer


def _banner(draw: ImageDraw.ImageDraw, top: int, width: int, height: int, rng: np.random.Generator) -> None:
    dark, light = (255, 0) if rng.random() < 0.5 else (0, 255)
    draw.rectangle((0, top, width, top + height), fill=light)
    draw.text((2, top + 1), "SE 3 IM 14 TR 550 TE 12 RESEARCH COPY", fill=dark, font_size=max(height - 4, 5))


CHANGES: dict[str, tuple[Change, ...]] = {
    "same pixels": (),
    "recompressed": (),
    "rescaled": (_rescaled,),
    "turned": (_turned,),
    "right angle": (_right_angle,),
    "mirrored": (_mirrored,),
    "cropped": (_cropped,),
    "relit": (_relit,),
    "banner over": (_banner_over,),
    "banner beside": (_banner_beside,),
    "rescaled, relit": (_rescaled, _relit),
    "mirrored, cropped": (_mirrored, _cropped),
    "turned, rescaled": (_turned, _rescaled),
    "right angle, banner over": (_right_angle, _banner_over),
}


def plant(folder: Path, count: int, seed: int = 0) -> dict[str, list[tuple[str, str]]]:
    """Add copies of every kind to a phantom, some of them in other splits and classes.

    Args:
        folder: The phantom's folder.
        count: How many copies of each kind.
        seed: Another seed makes other copies.

    Returns:
        The originals and their copies by kind, as paths in the data set.
    """
    rng = np.random.default_rng(seed)
    # Only one of a patient's two images, which are neighbouring slices.
    originals = sorted(path for path in folder.glob("*/*/*.jpg") if int(path.stem[-4:]) % 2 == 0)
    indices = iter(rng.permutation(len(originals)))
    planted: dict[str, list[tuple[str, str]]] = {}
    for kind, changes in CHANGES.items():
        for number in range(count):
            original = originals[next(indices)]
            with Image.open(original) as image:
                image = image.convert("L")
            for change in changes:
                image = change(image, rng)
            split = folder / ("Training", "Testing")[rng.integers(2)]
            name = original.parent.name if rng.random() < 0.9 else CLASSES[rng.integers(4)]
            copy = split / name / f"copy_{kind.replace(' ', '_').replace(',', '')}_{number:03d}"
            if kind == "same pixels":
                copy = copy.with_suffix(".png")
                image.save(copy)
            else:
                copy = copy.with_suffix(".jpg")
                image.save(copy, quality=int(rng.integers(40, 90)))
            pair = (original.relative_to(folder).as_posix(), copy.relative_to(folder).as_posix())
            planted.setdefault(kind, []).append(pair)
    (folder / "manifest.json").unlink()  # it does not name the copies
    return planted
