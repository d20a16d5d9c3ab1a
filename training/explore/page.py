"""The report: every figure with what to see in it, and what it may mean for a classifier, read from the numbers."""

from collections.abc import Iterable
from pathlib import Path

from training.data import TESTING, TRAINING, DataSet
from training.data.layout import SPLITS
from training.explore import drawings, tables
from training.explore.measure import BLACK, FRAME, SIDE, Survey
from training.explore.summary import Summary, by_class
from training.report import Report, share


def write(data: DataSet, survey: Survey, summary: Summary, out: Path) -> Path:
    """Write ``out/report.html`` and its figures; returns the page's path."""
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
    counts, total = _group_figures(summary, "images"), summary["images"]
    largest = max(counts[TRAINING], key=lambda name: counts[TRAINING][name])
    ratio = counts[TRAINING][largest] / min(counts[TRAINING].values())
    report.heading("Classes")
    report.text(
        f"Training has {total[TRAINING]:,} images, Testing {total[TESTING]:,}. In Training the largest class has "
        f"{ratio:.2f} times the images of the smallest. Always answering {largest} would be right for "
        f"{share(summary['looked_up']['nothing'])} of Testing: an accuracy has to be seen against that."
    )
    report.figure(drawings.bars(counts, "images"), "classes", "Images by class and split.")


def _samples(report: Report, survey: Survey, summary: Summary) -> None:
    report.heading("Sample images")
    report.figure(
        drawings.samples(survey.samples, summary["samples"]),
        "samples",
        f"Drawn at random with seed {summary['seed']}, and resized to a square of {SIDE} pixels as a model sees them: "
        "what was not square is squeezed. Look for writing, arrows, frames, and views that only one class has.",
    )


def _sizes(report: Report, survey: Survey, summary: Summary, names: Iterable[str]) -> None:
    different = {(image.width, image.height) for image in survey.images}
    report.heading("Sizes")
    if len(different) == 1:
        width, height = different.pop()
        report.text(f"Every image is {width} x {height} pixels: the size tells nothing about the class.")
    else:
        report.text(
            f"There are {len(different):,} different sizes. {_looked_up(summary, 'size')} Resizing hides the size "
            "itself, but not what it leaves behind: how far the head is squeezed, and how sharp it is."
        )
    report.table(*tables.sizes(summary), "The commonest sizes of each class.")
    report.figure(
        drawings.sizes(survey.images, list(names)),
        "sizes",
        "A dot is a size; its area grows with the share of the class that has it. Dots on the dotted line are square. "
        "Classes whose dots lie elsewhere may come from other sources.",
    )
    report.figure(
        drawings.distributions(by_class(survey.images, "aspect ratio"), "width / height"),
        "aspect-ratio",
        "Aspect ratios; 1 is square. Images of another ratio are squeezed to a square for the model.",
    )


def _brightness(report: Report, survey: Survey, summary: Summary) -> None:
    report.heading("Brightness")
    report.text(
        f"{_notable(summary, 'brightness')} Brightness comes from the scanner, the sequence, the contrast agent and "
        "the cropping as much as from a tumour: a class that stands out may be recognised by how it was scanned."
    )
    report.figure(
        drawings.distributions(by_class(survey.images, "brightness"), "mean grey level of an image (0 to 255)"),
        "brightness",
        "Mean grey levels. Within a class, Training (filled) and Testing (line) should have one shape.",
    )
    report.table(
        *tables.means(summary, ["brightness", "contrast", "black share"]), f"Means; black is below grey level {BLACK}."
    )


def _border(report: Report, survey: Survey, summary: Summary) -> None:
    shares = _group_figures(summary, "border_not_black")
    most, *_, least = sorted(shares[TRAINING], key=lambda name: -shares[TRAINING][name])
    report.heading("Border")
    report.text(
        f"In Training the border is not black in {share(shares[TRAINING][most])} of {most} and in "
        f"{share(shares[TRAINING][least])} of {least}. Nothing of the disease is there: a model that answers by the "
        "border answers by how images were cropped or framed."
        if any(value for each in shares.values() for value in each.values())
        else "The border of every image is black for the most part: none has a frame in another colour."
    )
    report.text(_notable(summary, "border brightness"))
    report.figure(
        drawings.bars(shares, "images (%)", percent=True),
        "border",
        f"Images whose border is not black: more than half of a frame as wide as {share(FRAME, 0)} of the shorter "
        f"side has a grey level of {BLACK} or more. All bars should be of one height.",
    )
    report.figure(
        drawings.distributions(by_class(survey.images, "border brightness"), "mean grey level of the border"),
        "border-brightness",
        "Mean grey levels of the border, of 0 to 255. A little above 0 is noise, or a head that reaches the edge; a "
        "second hill far to the right is a frame, or a tight crop.",
    )


def _files(report: Report, survey: Survey, summary: Summary) -> None:
    kinds = {f"{image.format} {image.mode}" for image in survey.images}
    report.heading("Files")
    if len(kinds) == 1:
        report.text(f"Every file is {kinds.pop()}: format and mode tell nothing about the class.")
    else:
        report.text(
            f"Files are of {len(kinds)} kinds of format and mode. {_looked_up(summary, 'format and mode')} Formats "
            "leave traces in the pixels: the blocks of JPEG, the few levels of a palette."
        )
    report.table(
        *tables.files(summary), "L is grey, RGB and RGBA are colour without and with transparency, P is a palette."
    )
    report.figure(
        drawings.distributions(by_class(survey.images, "bits per pixel"), "bits of the file per pixel", reach=0.99),
        "bits-per-pixel",
        "How many bits a file spends on a pixel; few are strong compression, or an image with much black. The largest "
        "hundredth stands in the last bin.",
    )


def _averages(report: Report, survey: Survey, summary: Summary, names: Iterable[str]) -> None:
    report.heading("Average images")
    report.text(
        "An average keeps what the images of a class have in common: the outline of heads, and where the class's "
        "tumours mostly lie. A difference is worth a look where it is far above what chance gives, which is that of "
        "images drawn at random, as many as the class has. (Images of one patient are alike, so where each has "
        "several, chance gives more: with n images a patient, up to the square root of n times as much.)"
    )
    report.table(
        *tables.averages(summary),
        "The average of Training by class, less that of all: root mean square over pixels, grey levels.",
    )
    report.figure(
        drawings.averages(survey.averages, list(names)),
        "averages",
        "Averages by class and split (of how many images), and at the right where a class is brighter (red) or "
        "darker (blue) than all together. A frame, writing or a sharp edge should not show in an average; where one "
        "does, many images have it at the same place.",
    )


def _pairs(report: Report, summary: Summary) -> None:
    found = [(of, each["notable"]) for row in summary["pairs"].values() for of, each in row.items()]
    notable = sum(each for of, each in found if of != TESTING)
    shifted = sum(each for of, each in found if of == TESTING)
    report.heading("What gives a class away")
    report.text(
        f"Classes stand out in {notable} places of this table (marked *), by more than chance. A classifier can learn "
        "these instead of the disease: it is then right here, and wrong on images from elsewhere."
        if notable
        else "No class stands out in any of these numbers by itself."
    )
    report.text(
        f"Testing differs from Training in {shifted} of these {len(summary['pairs'])} numbers"
        + (", so it is not of quite the same kind. " if shifted else ". ")
        + "How far such numbers go together is measured by python -m training.audit."
    )
    report.table(
        *tables.pairs(summary),
        "How often an image of the class has the larger number than one of another class (Training; equal ones count "
        "half): 50 % tells nothing. Last column: an image of Testing against one of Training.",
    )


def _notable(summary: Summary, name: str) -> str:
    """Which classes stand out in a number, in a sentence."""
    found = [
        f"{of} {share(each['share'], 0)}"
        for of, each in summary["pairs"][name].items()
        if of != TESTING and each["notable"]
    ]
    if not found:
        return f"No class stands out in {name} by itself (see the last table)."
    return (
        f"Classes stand out in {name}. How often an image of Training has more of it than one of another class: "
        f"{', '.join(found)} (50 % would be no difference)."
    )


def _looked_up(summary: Summary, name: str) -> str:
    """How far a look at one property goes, in a sentence."""
    alone, nothing = summary["looked_up"][name], summary["looked_up"]["nothing"]
    return (
        f"Answering by {name} alone, without seeing the image, is right for {share(alone)} of Testing (always "
        f"answering the largest class: {share(nothing)})."
    )


def _group_figures(summary: Summary, key: str) -> dict[str, dict[str, float]]:
    return {split: {name: group[key] for name, group in summary["classes"][split].items()} for split in SPLITS}
