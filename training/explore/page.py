"""The report of an exploration: each figure with a caption, and what the numbers may mean for a classifier."""

from collections.abc import Iterable
from pathlib import Path

from training.data.data_set import DataSet
from training.explore import drawings, tables
from training.explore.measure import BLACK, FRAME, SIDE, Survey
from training.explore.summary import Summary, by_class
from training.layout import SPLITS, TESTING, TRAINING
from training.report import Report, share


def write(data: DataSet, survey: Survey, summary: Summary, out: Path) -> Path:
    """Write the report and its figures into ``out``; returns the path of the HTML page."""
    report = Report("What is in the images", out, data.name)
    _classes(report, summary)
    _samples(report, survey, summary)
    _sizes(report, survey, summary, data.class_names)
    _brightness(report, survey, summary)
    _border(report, survey, summary)
    _files(report, survey, summary)
    _averages(report, survey, summary, data.class_names)
    _pairs(report, summary)
    return report.write()


def _classes(report: Report, summary: Summary) -> None:
    counts, total = _by_split_and_class(summary, "images"), summary["images"]
    largest = max(counts[TRAINING], key=lambda name: counts[TRAINING][name])
    ratio = counts[TRAINING][largest] / min(counts[TRAINING].values())
    report.heading("Classes")
    report.text(
        f"Training has {total[TRAINING]:,} images, Testing has {total[TESTING]:,}. In Training the largest class has "
        f"{ratio:.2f} times as many images as the smallest. A model that always predicts {largest} is right for "
        f"{share(summary['majority_class_lookup']['nothing'])} of Testing; compare every accuracy with that."
    )
    report.figure(drawings.bars(counts, "images"), "classes", "Images by class and split.")


def _samples(report: Report, survey: Survey, summary: Summary) -> None:
    report.heading("Sample images")
    report.figure(
        drawings.samples(survey.samples, summary["samples"]),
        "samples",
        f"Images drawn at random with seed {summary['seed']}, resized to a square of {SIDE} pixels, as a model sees "
        "them unless it crops or pads: images that were not square look squeezed. Look for writing, arrows, frames, "
        "and views that only one class has.",
    )


def _sizes(report: Report, survey: Survey, summary: Summary, names: Iterable[str]) -> None:
    different = {(image.width, image.height) for image in survey.images}
    report.heading("Sizes")
    if len(different) == 1:
        width, height = different.pop()
        report.text(f"Every image is {width} x {height} pixels: the size does not depend on the class.")
    else:
        report.text(
            f"There are {len(different):,} different sizes. {_lookup(summary, 'size')} A resized image no longer has "
            "its size, but it still has traces of it: how much the head is squeezed, and how sharp it is."
        )
    report.table(*tables.sizes(summary), "The commonest sizes of each class.")
    report.figure(
        drawings.sizes(survey.images, list(names)),
        "sizes",
        "Each dot is a size; its area grows with the share of the class that has this size. Dots on the dotted line "
        "are square. A class whose dots lie elsewhere than those of the others may come from another source.",
    )
    report.figure(
        drawings.distributions(by_class(survey.images, "aspect ratio"), "width / height"),
        "aspect-ratio",
        "Aspect ratios; 1 is square. Images with another ratio are squeezed to a square for the model.",
    )


def _brightness(report: Report, survey: Survey, summary: Summary) -> None:
    report.heading("Brightness")
    report.text(
        f"{_notable(summary, 'brightness')} Brightness depends on the scanner, the sequence, the contrast agent and "
        "the cropping as much as on a tumour. A classifier may recognise a class with an unusual brightness by how it "
        "was scanned."
    )
    report.figure(
        drawings.distributions(by_class(survey.images, "brightness"), "mean grey level of an image (0 to 255)"),
        "brightness",
        "Mean grey levels. Within a class, Training (filled) and Testing (line) should have the same shape.",
    )
    report.table(
        *tables.means(summary, ["brightness", "contrast", "black share"]),
        f"Means; a pixel is black below grey level {BLACK}.",
    )


def _border(report: Report, survey: Survey, summary: Summary) -> None:
    shares = _by_split_and_class(summary, "border_not_black")
    most, *_, least = sorted(shares[TRAINING], key=lambda name: -shares[TRAINING][name])
    report.heading("Border")
    report.text(
        f"In Training the border is not black in {share(shares[TRAINING][most])} of {most} and in "
        f"{share(shares[TRAINING][least])} of {least}. The border shows nothing of the disease: a model that uses it "
        "predicts how images were cropped or framed."
        if any(value for classes in shares.values() for value in classes.values())
        else "The border of every image is mostly black: no image has a frame in another colour."
    )
    report.text(_notable(summary, "border brightness"))
    report.figure(
        drawings.bars(shares, "images (%)", percent=True),
        "border",
        f"Images whose border is not black: more than half of a frame, as wide as {share(FRAME, 0)} of the shorter "
        f"side, has a grey level of {BLACK} or more. All bars should have the same height.",
    )
    report.figure(
        drawings.distributions(by_class(survey.images, "border brightness"), "mean grey level of the border"),
        "border-brightness",
        "Mean grey levels of the border, from 0 to 255. Values a little above 0 are noise, or a head that reaches the "
        "edge; a second peak far to the right is a frame, or a tight crop.",
    )


def _files(report: Report, survey: Survey, summary: Summary) -> None:
    kinds = {f"{image.format} {image.mode}" for image in survey.images}
    report.heading("Files")
    if len(kinds) == 1:
        report.text(f"Every file is {kinds.pop()}: format and mode do not depend on the class.")
    else:
        report.text(
            f"There are {len(kinds)} combinations of format and mode. {_lookup(summary, 'format and mode')} Formats "
            "leave traces in the pixels: the blocks of JPEG, the few levels of a palette."
        )
    report.table(
        *tables.files(summary), "L is grey, RGB and RGBA are colour without and with transparency, P is a palette."
    )
    report.figure(
        drawings.distributions(by_class(survey.images, "bits per pixel"), "bits of the file per pixel", reach=0.99),
        "bits-per-pixel",
        "How many bits a file uses per pixel; few bits mean strong compression, or an image with much black. The "
        "largest 1 % of the values are counted in the last bin.",
    )


def _averages(report: Report, survey: Survey, summary: Summary, names: Iterable[str]) -> None:
    report.heading("Average images")
    report.text(
        "An average shows what the images of a class have in common: the outline of heads, and where most tumours of "
        "the class lie. A difference deserves a look if it is far above the one that chance gives, which is the "
        "difference of the same number of images drawn at random. (Images of one patient are alike, so chance gives "
        "more where patients have several images: with n images per patient, up to the square root of n times as much.)"
    )
    report.table(
        *tables.averages(summary),
        "The average of each class of Training minus the average of all classes: root mean square over pixels, in grey "
        "levels.",
    )
    report.figure(
        drawings.averages(survey.averages, list(names)),
        "averages",
        "Averages by class and split (with the number of images). At the right: where a class is brighter (red) or "
        "darker (blue) than all classes together. A frame, writing or a sharp edge should not be visible in an "
        "average; if one is, many images have it at the same place.",
    )


def _pairs(report: Report, summary: Summary) -> None:
    pairs = [(name, pair["notable"]) for row in summary["pairs"].values() for name, pair in row.items()]
    notable = sum(is_notable for name, is_notable in pairs if name != TESTING)
    shifted = sum(is_notable for name, is_notable in pairs if name == TESTING)
    report.heading("Numbers that reveal the class")
    report.text(
        f"In {notable} cells of this table (marked *) a class differs from the others by more than chance. A "
        "classifier can learn these numbers instead of the disease: it is then right on these images, and wrong "
        "on images from elsewhere."
        if notable
        else "No class differs from the others in any of these numbers alone."
    )
    report.text(
        f"Testing differs from Training in {shifted} of these {len(summary['pairs'])} numbers"
        + (", so it is not quite the same kind of data. " if shifted else ". ")
        + "python -m training.audit measures how well a classifier does with such numbers together."
    )
    report.table(
        *tables.pairs(summary),
        "How often an image of the class has a larger number than an image of another class (AUROC; Training; equal "
        "numbers count half): 50 % means no difference. The last column compares images of Testing with images of "
        "Training.",
    )


def _notable(summary: Summary, name: str) -> str:
    """A sentence that says which classes differ notably from the others in a number."""
    shares = [
        f"{class_name} {share(pair['share'], 0)}"
        for class_name, pair in summary["pairs"][name].items()
        if class_name != TESTING and pair["notable"]
    ]
    if not shares:
        return f"No class differs from the others in {name} alone (see the last table)."
    return (
        f"Classes differ in {name}. How often an image of Training has more of it than an image of another class: "
        f"{', '.join(shares)} (50 % would be no difference)."
    )


def _lookup(summary: Summary, name: str) -> str:
    """A sentence that says how accurate a prediction by one property alone is."""
    alone, nothing = (summary["majority_class_lookup"][key] for key in (name, "nothing"))
    return (
        f"A table that predicts the class by {name} alone, without seeing the image, is right for {share(alone)} of "
        f"Testing (always predicting the largest class: {share(nothing)})."
    )


def _by_split_and_class(summary: Summary, key: str) -> dict[str, dict[str, float]]:
    return {split: {name: group[key] for name, group in summary["classes"][split].items()} for split in SPLITS}
