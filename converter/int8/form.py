"""Makes a model's int8 form beside its SavedModel: quantizes, fits, judges, and returns layers to float if need be."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain_tumor import contract
from brain_tumor.metadata import INT8, ModelMetadata
from brain_tumor.preprocess import Preprocessor
from brain_tumor.quality import calibrate
from brain_tumor.quality.ood_samples import TEST_FAMILIES, prepared
from brain_tumor.reference import CONFIDENCE, OOD_SCORE
from converter import interrupt
from converter.errors import ConversionError
from converter.int8 import runtime
from converter.int8.guard import Form, Truth, Verdict, judge
from converter.int8.images import Parted
from converter.int8.quantize import harms, layers, partly_quantized, quantized

# Of ``quantize.partly_quantized``. First every layer is in int8; then those go back to float whose return brings the
# harm on the calibrating images down to these.
_MOST_HARM = (0.02, 0.005)
_LEAST_INT8 = 0.5  # share of the layers: with fewer in int8 it is hardly faster than float32
_SAMPLES = 60  # of each family of images that are no scans
_SEED = 20


def add_int8(folder: Path, metadata: ModelMetadata, images: Parted, tell: Callable[[str], None]) -> ModelMetadata:
    """Write the int8 form of a SavedModel into its folder, with its own metadata, which has the guard's verdict.

    Args:
        folder: The version's folder, with the SavedModel.
        metadata: The SavedModel's.
        images: What calibrates and what judges.
        tell: Called with lines for people.

    Returns:
        The metadata of the int8 form.

    Raises:
        ConversionError: int8 does more harm than is allowed, also with layers in float.
    """
    path = folder / contract.INT8_MODEL
    path.parent.mkdir(parents=True)
    float32 = runtime.load(folder)
    calibrating = runtime.outputs(float32, images.calibrating.pixels)
    samples = _samples(metadata)
    judged = Form(
        runtime.outputs(float32, images.judging.pixels),
        runtime.outputs(float32, samples).scores,
        metadata.out_of_distribution_threshold,
    )
    truth = Truth(images.judging.labels, images.judging.groups, images.healthy)
    tell(f"quantizing to int8, calibrated on {len(images.calibrating.labels)} images ...")
    for most_harm in (1.0, *_MOST_HARM):
        if most_harm == 1:
            model = quantized(float32, images.calibrating.pixels)
            harm = harms(calibrating, runtime.outputs(model, images.calibrating.pixels)).mean()
        elif harm <= most_harm:
            continue  # every layer would stay in int8
        else:
            tell(f"too much: the layers that do most harm go back to float, until {harm:.3f} of it is {most_harm} ...")
            model = partly_quantized(float32, images.calibrating.pixels, calibrating, most_harm)
        interrupt.check()
        fitted = _fitted(runtime.outputs(model, images.calibrating.pixels), calibrating, metadata)
        count, kept = layers(model)
        runtime.rescale_logits(model, metadata.temperature / fitted.temperature)
        runtime.save(model, path)
        verdict = _judged(path, fitted, judged, images, samples, truth)
        tell(f"int8 ({count} layers, {len(kept)} in float) against float32 on {verdict.images} held-out images:")
        for line in verdict.lines():
            tell(line)
        if count < _LEAST_INT8 * (count + len(kept)):
            raise ConversionError(
                f"int8 does too much harm to this model: {len(kept)} of {count + len(kept)} layers had to go back to "
                "float, and then it is hardly faster; nothing was published. Convert the model without --int8"
            )
        if not verdict.failed:
            fitted = _described(fitted, verdict, len(images.calibrating.labels), count, kept)
            (folder / contract.INT8_METADATA).write_text(fitted.to_json(), encoding="utf-8")
            tell(_gain(*runtime.milliseconds((float32, runtime.load(path)), images.judging.pixels[:1])))
            return fitted
    raise ConversionError(_refusal(verdict))


def _samples(metadata: ModelMetadata) -> NDArray[np.uint8]:
    """Images that are no scans, as the model takes them: uint8 (image, height, width, 3)."""
    rng, side = np.random.default_rng(_SEED), max(metadata.image.height, metadata.image.width)
    drawn = [family(rng, side) for family in TEST_FAMILIES.values() for _ in range(_SAMPLES)]
    return prepared(np.stack(drawn), Preprocessor(metadata.image))


def _fitted(int8: runtime.Outputs, float32: runtime.Outputs, metadata: ModelMetadata) -> ModelMetadata:
    """The metadata with the temperature and the OOD threshold at which int8 says what float32 says."""
    threshold = metadata.out_of_distribution_threshold
    if threshold is not None:
        threshold = round(calibrate.threshold_like(int8.scores, float32.scores, threshold), 4)
    temperature = calibrate.temperature_like(int8.logits(metadata.temperature), float32.probabilities)
    # The float32 form's confidences and OOD scores are no reference for this one's.
    reference = {name: part for name, part in metadata.reference.items() if name not in (CONFIDENCE, OOD_SCORE)}
    return dataclasses.replace(
        metadata,
        precision=INT8,
        temperature=round(temperature, 4),
        out_of_distribution_threshold=threshold,
        reference=reference,
    )


def _judged(
    path: Path, fitted: ModelMetadata, float32: Form, images: Parted, samples: NDArray[np.uint8], truth: Truth
) -> Verdict:
    """The verdict on what was written, read again."""
    model = runtime.load(path)
    scans, scores = runtime.outputs(model, images.judging.pixels), runtime.outputs(model, samples).scores
    return judge(float32, Form(scans, scores, fitted.out_of_distribution_threshold), truth)


def _described(
    fitted: ModelMetadata, verdict: Verdict, calibrated_on: int, count: int, kept: list[str]
) -> ModelMetadata:
    found: dict[str, Any] = {
        **verdict.document(),
        "calibrated_on": calibrated_on,
        "int8_layers": count,
        "float_layers": kept,
    }
    return dataclasses.replace(fitted, metrics={**fitted.metrics, INT8: found}, versions=runtime.versions(fitted))


def _gain(float32: float, int8: float) -> str:
    """What int8 is good for, for people: some networks gain nothing by it, or only on other CPUs."""
    times = f"one image on one thread of this machine: float32 {float32:.2f} ms, int8 {int8:.2f} ms"
    return times if int8 < float32 else f"{times}; int8 gains nothing here, consider a conversion without --int8"


def _refusal(verdict: Verdict) -> str:
    harms = (
        f"{name.replace('_', ' ')} by {harm.harm:.4f}, up to {harm.interval[1]:.4f} where {harm.bound} is allowed"
        for name, harm in verdict.harms.items()
        if not harm.is_allowed
    )
    return (
        f"int8 does too much harm to this model, also with layers in float: {'; '.join(harms)}; nothing was published. "
        "Convert without --int8, or give more images if only the intervals are too wide"
    )
