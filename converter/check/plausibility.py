"""What a user is warned about, and what is not published: a description that does not seem to fit its model."""

from collections.abc import Callable, Iterator
from pathlib import Path

from converter.check.checks import Comparison, compare
from converter.check.labelled import class_folders, labelled
from converter.errors import ConversionError
from converter.graph.head import Head
from converter.read.description import has_placeholders
from converter.read.load import Source


def description_warnings(source: Source, head: Head) -> Iterator[str]:
    """What the description and the model together leave open, or do twice."""
    metadata, path = source.metadata, source.description.path
    if head.scales is False and not source.description.says_scaling:
        yield f'{path} has no "scaling", and the model has none inside; is it "none"?'
    if head.scales and metadata.scaling != "none":
        yield (
            f'{path} says "scaling": "{metadata.scaling}", but the model changes the pixels\' values inside, too; '
            'if that is its scaling, the description needs "scaling": "none"'
        )
    if has_placeholders(metadata):
        yield f"{path}: class_names are placeholders; give the classes' names in the order of the model's outputs"
    if other_score(source, head):
        yield (
            f"{path}: out_of_distribution.threshold is of the score {metadata.out_of_distribution_score}, but this "
            f"model's is {head.ood_score}; it is left out, and no image is flagged"
        )
    for field in source.description.unknown_fields(metadata):
        yield f"{path}: {field} is no field of model metadata and was ignored"


def other_score(source: Source, head: Head) -> bool:
    """Whether the description's threshold is one of another OOD score than the model's."""
    metadata = source.metadata
    return metadata.out_of_distribution_threshold is not None and metadata.out_of_distribution_score != head.ood_score


def check_on_labelled(
    source: Source, head: Head, folder: Path, *, publish_anyway: bool, tell: Callable[[str], None]
) -> Iterator[str]:
    """Check the description on a folder of images, if they are labelled; what to warn about.

    Args:
        source: The model and its description.
        head: The model's unchanged head.
        folder: The images.
        publish_anyway: Warn where the check refuses.
        tell: Called with the lines of the table.

    Raises:
        ConversionError: The description is no better than chance, and an alternative is clearly right.
    """
    folders = class_folders(folder)
    if not folders:
        return
    metadata = source.metadata
    images = labelled(folders, metadata.class_names)
    if images is None:
        names = ", ".join(path.name for path in folders)
        yield (
            f"{source.description.path}: class_names ({', '.join(metadata.class_names)}) are not the folders of "
            f"{folders[0].parent} ({names}), so accuracy was not checked"
        )
        return
    comparison = compare(source.network, head, metadata, images, tell)
    tell(f"accuracy on {len(images.paths)} labelled images of {images.folder}:")
    for line in comparison.lines():
        tell(line)
    yield from _verdict(source.description.path, comparison, publish_anyway)


def _verdict(path: Path, comparison: Comparison, publish_anyway: bool) -> Iterator[str]:
    given, better = comparison.given, comparison.better
    count, right = len(given.correct), int(given.correct.sum())
    against = f"{path}: {right} of {count} labelled images are right"
    if comparison.at_chance:
        against += f", no better than chance ({comparison.chance:.1%})"
    if better is None:
        if comparison.at_chance:
            yield f"{against}, and nothing that was tried is clearly better; are these the right model and images?"
        return
    instead = f"{int(better.correct.sum())} with {better.text}"
    if comparison.at_chance and comparison.clearly_right and not publish_anyway:
        raise ConversionError(
            f"{against}, but {instead}; change the description so, or publish it as it is with --publish-anyway"
        )
    yield f"{against}, but {instead}; is the description wrong?"
