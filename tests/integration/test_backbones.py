"""Backbones with weights in ImageNet's place go the whole way: they are fetched, trained, converted and served."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from brain_tumor.metadata import ImageSpec
from brain_tumor.preprocess import Preprocessor
from converter.check.verify import synthetic_images
from converter.convert import Job, convert
from tests.converter.compare import TOLERANCE, by_keras, softmax
from tests.training.configurations import configuration
from tests.training.eagerly import eagerly
from tests.training.pretrained import StandIn, stand_in
from tests.training.scans import phantom
from training.data.data_set import DataSet, find
from training.data.groups import by_patient
from training.data.reading import read
from training.serving import served
from training.train import run


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    return find(phantom(tmp_path_factory.mktemp("backbones") / "phantom"))


@pytest.mark.parametrize(
    ("name", "side", "frozen_epochs", "precision", "folded", "megabytes"),
    [
        ("Xception", 71, 0, "float32", 40, 90),
        ("InceptionV3", 75, 0, "float32", 94, 92),
        ("ResNet50V2", 32, 0, "float32", 32, 105),
        ("EfficientNetB0", 32, 1, "float32", 49, 17),
        ("EfficientNetV2B0", 32, 1, "mixed_bfloat16", 59, 25),
    ],
)
def test_a_backbone_is_trained_converted_and_served(
    name: str,
    side: int,
    frozen_epochs: int,
    precision: str,
    folded: int,
    megabytes: int,
    data_set: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    preprocessor = Preprocessor(ImageSpec(side, side))
    scans = np.concatenate([read(data_set.folder, data_set.training, preprocessor), synthetic_images(side, side)])
    (tmp_path / "keras").mkdir()
    pretrained = stand_in(name, scans, tmp_path / "keras", monkeypatch)
    options = configuration(
        name, size=side, weights="imagenet", frozen_epochs=frozen_epochs, epochs=1, batch_size=len(data_set.training)
    )
    options = replace(options, precision=precision, patience=None)  # the last weights are kept, not the best
    with eagerly():
        metadata = run.train(data_set, by_patient(data_set), options, tmp_path / "run")
    model = run.load_model(tmp_path / "run")
    assert_tuned(pretrained, model)
    validation = run.read_validation(tmp_path / "run")
    images = np.asarray(read(data_set.folder, validation.files, preprocessor))
    logits = by_keras(model, images)
    np.testing.assert_allclose(validation.logits, logits, rtol=1e-3, atol=1e-4)

    # The best temperature for a network that has learned nothing is so high that all probabilities are the same.
    run.write_metadata(replace(metadata, temperature=1.0), tmp_path / "run")
    job = Job(tmp_path / "run" / run.MODEL, tmp_path / "run" / run.METADATA, tmp_path / "models")
    warnings: list[str] = []
    report = convert(job, warn=warnings.append)
    assert (report.folded, warnings, report.metadata.explains) == (folded, [], True)
    assert report.size <= megabytes * 1e6
    with served(job.target) as server:
        probabilities = server.probabilities(images)
    difference = np.abs(probabilities - softmax(logits)).max()
    assert difference < TOLERANCE
    assert np.ptp(probabilities, axis=0).max() > 50 * difference  # the images are not all the same to it


def assert_tuned(pretrained: StandIn, model: keras.Model) -> None:
    """Fetched once, each weight is in its layer, and only what should have learned differs, and little."""
    (address,) = pretrained.fetched
    assert address.endswith("_notop.h5")
    tuned = 0
    for layer, theirs, mine in pretrained.beside(model):
        if isinstance(layer, keras.layers.Normalization | keras.layers.BatchNormalization):
            np.testing.assert_array_equal(mine, theirs)
        else:
            np.testing.assert_allclose(mine, theirs, atol=1e-4)
            tuned += not np.array_equal(mine, theirs)
    assert tuned > 10


FAMILIES = [
    ("efficientnet", "EfficientNet", [f"B{number}" for number in range(8)]),
    ("efficientnet_v2", "EfficientNetV2", [f"B{number}" for number in range(4)]),
]


@pytest.mark.parametrize(("module", "family", "sizes"), FAMILIES)
def test_the_larger_efficientnets_are_wider_and_deeper_and_nothing_else(
    module: str, family: str, sizes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(
        f"keras.src.applications.{module}.{family}", lambda *coefficients, **options: calls.append(options)
    )
    for size in sizes:
        getattr(keras.applications, f"{family}{size}")(include_top=False)
    of_the_size = ("width_coefficient", "depth_coefficient", "default_size", "dropout_rate", "name", "weights_name")
    for call in calls:
        for option in of_the_size:
            call.pop(option, None)
    assert calls == [calls[0]] * len(sizes)


def test_the_larger_resnets_are_deeper_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "keras.src.applications.resnet"
    calls: list[tuple[Any, ...]] = []
    stacks: list[tuple[Any, ...]] = []

    def stack(x: str, filters: int, blocks: int, **options: Any) -> str:
        stacks.append((x, filters, options))
        return f"{x}>{filters}"

    def resnet(stack_fn: Any, *arguments: Any, name: str, weights_name: str, **options: Any) -> None:
        stacks.clear()
        calls.append((arguments, options, stack_fn("x"), tuple(stacks)))

    monkeypatch.setattr(f"{code}.stack_residual_blocks_v2", stack)
    monkeypatch.setattr(f"{code}.ResNet", resnet)
    for size in ("50", "101", "152"):
        getattr(keras.applications, f"ResNet{size}V2")(include_top=False)
    assert len(calls[0][3]) == 4
    assert calls == [calls[0]] * 3
