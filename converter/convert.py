"""The whole way from a .keras file to a published version."""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from brain_tumor import contract
from brain_tumor.metadata import ModelMetadata
from converter.errors import ConversionError
from converter.fold import drop_inactive, fold_batch_norms
from converter.graph import write_saved_model
from converter.head import Head, find_head
from converter.load import Source, load
from converter.program import flatten
from converter.publish import check_free, new_version
from converter.scaling import Scaling, merge_scaling, with_scaling
from converter.verify import expected, given_images, made_images, verify
from converter.warmup import write_warmup
from serving_api.names import WARMUP_FILE


@dataclass(frozen=True)
class Job:
    """What to convert, and to where.

    Attributes:
        model: the .keras file.
        metadata: the JSON file that describes it.
        models: the folder that holds a folder for each model.
        name, version: of the published model: it lands in ``models/name/version``.
        keep_variables: leave the weights in variables instead of freezing them to constants.
        verify_with: a folder of images to compare on, beside the ones made up.
    """

    model: Path
    metadata: Path
    models: Path
    name: str = contract.MODEL_NAME
    version: int = 1
    keep_variables: bool = False
    verify_with: Path | None = None

    @property
    def target(self) -> Path:
        """The version folder."""
        return self.models / self.name / str(self.version)


@dataclass(frozen=True)
class Report:
    """What was done: counts, bytes, seconds, and the largest difference in probability on so many images.

    ``unknown_fields`` of the metadata were passed over; ``scaling_assumed``: neither it nor the model has a word on it.
    """

    metadata: ModelMetadata
    folded: int
    scaling: Scaling
    scaling_assumed: bool
    unknown_fields: tuple[str, ...]
    size: int
    seconds: float
    difference: float
    images: int


def convert(job: Job) -> Report:
    """Convert, verify and publish a model.

    Raises:
        ConversionError: nothing was published; the message says why.
    """
    started = time.monotonic()
    source = load(job.model, job.metadata)
    check_free(job.target)
    original = find_head(drop_inactive(flatten(source.model, source.metadata.height, source.metadata.width)))
    head, folded, scaling = _optimised(original, source)
    metadata = _completed(source.metadata, job.name, head)
    images = made_images(metadata.height, metadata.width)
    if job.verify_with:
        images = np.concatenate([images, given_images(job.verify_with, metadata)])
    truth = expected(source.model, original, source.metadata.scaling, images)
    with new_version(job.target) as folder:
        try:
            write_saved_model(folder, head, metadata, keep_variables=job.keep_variables)
            (folder / contract.METADATA_ASSET).parent.mkdir()
            (folder / contract.METADATA_ASSET).write_text(metadata.to_json(), encoding="utf-8")
            write_warmup(folder / WARMUP_FILE, metadata)
        except tf.errors.OpError as error:
            raise ConversionError(f"cannot write {job.target}: {error.message}") from error
        difference = verify(folder, truth, head, metadata, images)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Report(
        metadata=metadata,
        folded=folded,
        scaling=scaling,
        scaling_assumed=scaling is Scaling.NONE and not source.says_scaling,
        unknown_fields=source.unknown_fields,
        size=size,
        seconds=time.monotonic() - started,
        difference=difference,
        images=len(images),
    )


def _optimised(head: Head, source: Source) -> tuple[Head, int, Scaling]:
    program, scaling = merge_scaling(with_scaling(head.program, source.metadata.scaling))
    program, folded = fold_batch_norms(program)
    return dataclasses.replace(head, program=program), folded, scaling


def _completed(metadata: ModelMetadata, name: str, head: Head) -> ModelMetadata:
    versions = {**metadata.versions, "converter": {"tensorflow": tf.__version__, "keras": keras.__version__}}
    return dataclasses.replace(metadata, name=name, explains=head.features is not None, versions=versions)
