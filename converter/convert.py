"""All steps from a model's file to a published version."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from brain_tumor import contract
from brain_tumor.metadata import INT8, ModelMetadata
from brain_tumor.reference import OOD_SCORE
from converter import interrupt
from converter.check.plausibility import check_on_labelled, description_warnings, other_score
from converter.check.verify import expected_outputs, supplied_images, synthetic_images, verify
from converter.errors import ConversionError, one_line
from converter.graph.head import Head
from converter.read.load import Source, load
from converter.write.publish import check_free, new_version
from converter.write.saved_model import write_saved_model
from converter.write.warmup import write_warmup
from converter.write.weights import LARGE
from serving_api.names import WARMUP_FILE


@dataclass(frozen=True)
class Job:
    """What to convert, and where to publish it.

    Attributes:
        model: The model's file or folder.
        metadata: The JSON file that describes the model.
        models: The folder that holds a folder for each model.
        name: The name of the served model.
        version: The number of its version; the result is ``models/name/version``.
        verify_with: A folder of images to compare on, beside the synthetic images. Where its subfolders are the
            classes, the description is checked on them, too.
        publish_anyway: Publish although that check says that the description is wrong.
        int8: A folder of labelled images: make an int8 form, too, which they calibrate and judge.
        smallest_variable: As for ``write_saved_model``.
    """

    model: Path
    metadata: Path
    models: Path
    name: str = contract.MODEL_NAME
    version: int = 1
    verify_with: Path | None = None
    publish_anyway: bool = False
    int8: Path | None = None
    smallest_variable: int | None = LARGE

    @property
    def target(self) -> Path:
        """The version folder."""
        return self.models / self.name / str(self.version)


@dataclass(frozen=True)
class Report:
    """What a conversion did.

    Attributes:
        metadata: The metadata of the published model.
        folded: The number of batch normalizations that were folded.
        size: The size of the published version, in bytes.
        seconds: How long the conversion took.
        difference: The largest difference in probability from the model itself.
        images: The number of images that the two were compared on.
        int8: The metadata of the int8 form, where one was made.
    """

    metadata: ModelMetadata
    folded: int
    size: int
    seconds: float
    difference: float
    images: int
    int8: ModelMetadata | None


def convert(
    job: Job, tell: Callable[[str], None] = lambda line: None, warn: Callable[[str], None] = lambda line: None
) -> Report:
    """Convert, verify and publish a model.

    Args:
        job: What to convert.
        tell: Called with every line for people that comes before the end.
        warn: Called with what the user should look at, a sentence each, as soon as it is known.

    Raises:
        ConversionError: Nothing was published; the message says why.
    """
    started = time.monotonic()
    source = load(job.model, job.metadata)
    check_free(job.target)
    with source.file.named_in_errors():
        original = source.network.head(source.metadata.image.height, source.metadata.image.width)
    head, folded = original.folded()
    metadata = _completed(source, head, job.name)
    for warning in description_warnings(source, original):
        warn(warning)
    parted = None
    if job.int8:
        from converter.int8.images import parted as part

        parted = part(job.int8, metadata)
        # What is published with an int8 form has one that the guard passed.
        metadata = dataclasses.replace(metadata, recommended_precision=INT8)
    images = synthetic_images(metadata.image.height, metadata.image.width)
    if job.verify_with:
        checked = check_on_labelled(source, original, job.verify_with, publish_anyway=job.publish_anyway, tell=tell)
        for warning in checked:
            warn(warning)
        images = np.concatenate([images, supplied_images(job.verify_with, metadata)])
    expected = expected_outputs(source.network, original, metadata.scaling, images)
    with new_version(job.target) as folder:
        try:
            write_saved_model(folder, head, metadata, job.smallest_variable)
            (folder / contract.METADATA_ASSET).parent.mkdir()
            (folder / contract.METADATA_ASSET).write_text(metadata.to_json(), encoding="utf-8")
            write_warmup(folder / WARMUP_FILE, metadata)
        except tf.errors.OpError as error:
            raise ConversionError(f"cannot write {job.target}: {one_line(error)}") from error
        difference = verify(folder, expected, head, metadata, images)
        int8 = None
        if parted:
            from converter.int8.form import add_int8

            int8 = add_int8(folder, metadata, parted, tell)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        interrupt.check()
    return Report(
        metadata=metadata,
        folded=folded,
        size=size,
        seconds=time.monotonic() - started,
        difference=difference,
        images=len(images),
        int8=int8,
    )


def _completed(source: Source, head: Head, name: str) -> ModelMetadata:
    converter = {"tensorflow": tf.__version__, "keras": keras.__version__}
    selection = source.description.selection
    named = {part: name for part, name in dataclasses.asdict(selection).items() if name is not None}
    versions = {**source.metadata.versions, "source": {**source.network.origin, **named}, "converter": converter}
    reference = dict(source.metadata.reference)
    if source.metadata.out_of_distribution_score != head.ood_score:
        reference.pop(OOD_SCORE, None)  # it is of another score
    return dataclasses.replace(
        source.metadata,
        name=name,
        explains=head.explains,
        out_of_distribution_score=head.ood_score,
        out_of_distribution_threshold=None
        if other_score(source, head)
        else source.metadata.out_of_distribution_threshold,
        versions=versions,
        reference=reference,
    )
