"""The int8 form of small networks, by NNCF and OpenVINO themselves."""

import dataclasses
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from brain_tumor import contract
from brain_tumor.metadata import ModelMetadata
from brain_tumor.processes import ROOT
from brain_tumor.reference import FEATURES
from converter.convert import Job, convert
from converter.errors import ConversionError
from converter.int8 import runtime
from converter.int8.form import _gain
from converter.int8.images import parted
from tests.converter import compare
from tests.converter.small_models import randomise, write

NAMES, SIZE, OF_EACH = ("glioma", "notumor"), (32, 40), 210
CLEAR = 0.7  # of the probability at which an image is taken
TEMPERATURE, THRESHOLD = 1.3, 3.0


def network(*scales):
    """Four convolutions and a dense layer; ``scales`` set the channels between them apart, which float32 can bear."""
    pixels = keras.Input((*SIZE, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = layers.Conv2D(12, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(12, 3, padding="same", activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = randomise(keras.Model(pixels, layers.Dense(2, activation="softmax")(x)))
    weighted = [layer for layer in model.layers if layer.weights]
    for before, after, scale in zip(weighted, weighted[1:], scales, strict=False):
        factors = np.where(np.arange(before.filters) % 2, scale, 1).astype(np.float32)
        before.kernel.assign(before.kernel * factors)
        before.bias.assign(before.bias * factors)
        after.kernel.assign(after.kernel / factors[:, None])
    return model


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Images in a folder for the class that the network itself predicts."""
    return draw(tmp_path_factory.mktemp("images"))


def draw(root):
    random, model = np.random.default_rng(0), network()
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] / SIZE[0]
    counts = dict.fromkeys(NAMES, 0)
    for _ in range(40):
        waves = random.uniform(-9, 9, (100, 3, 2))
        pixels = [[128 + 100 * np.sin(a * x + b * y + random.uniform(0, 6)) for a, b in image] for image in waves]
        batch = np.clip(np.moveaxis(np.array(pixels), 1, -1) + random.normal(0, 20, (100, *SIZE, 3)), 0, 255)
        batch = batch.astype(np.uint8)
        for image, probabilities in zip(batch, compare.by_keras(model, batch), strict=True):
            name = NAMES[probabilities.argmax()]
            if probabilities.max() > CLEAR and counts[name] < OF_EACH:
                (root / name).mkdir(exist_ok=True)
                Image.fromarray(image).save(root / name / f"{counts[name]}.png")
                counts[name] += 1
        if min(counts.values()) == OF_EACH:
            return root
    raise AssertionError(counts)


def job_for(tmp_path, images, model):
    source = write(
        tmp_path,
        model,
        class_names=NAMES,
        temperature=TEMPERATURE,
        out_of_distribution={"threshold": THRESHOLD},
        metrics={"accuracy": 0.9},
        reference={name: {"edges": [0], "counts": [3, 1]} for name in FEATURES},
    )
    return Job(source, source.with_suffix(".json"), tmp_path / "models", int8=images)


@pytest.fixture(scope="session")
def published(tmp_path_factory, images):
    folder, told = tmp_path_factory.mktemp("published"), []
    job = job_for(folder, images, network())
    return job.target, convert(job, tell=told.append), told


def test_both_forms_are_published_with_metadata_of_their_own(published):
    folder, report, _ = published
    float32 = ModelMetadata.from_json((folder / contract.METADATA_ASSET).read_text())
    int8 = ModelMetadata.from_json((folder / contract.INT8_METADATA).read_text())
    assert (float32.precision, float32.recommended_precision) == ("float32", "int8")
    assert (int8.precision, int8.recommended_precision) == ("int8", "int8")
    assert float32.temperature == TEMPERATURE
    assert int8.temperature == pytest.approx(TEMPERATURE, rel=0.1)
    assert int8.temperature != TEMPERATURE
    assert 0.01 < abs(int8.out_of_distribution_threshold - THRESHOLD) < 1
    assert report.int8 == int8
    assert int8.metrics["accuracy"] == float32.metrics["accuracy"] == 0.9
    assert set(int8.versions["int8"]) == {"openvino", "nncf"}
    assert set(float32.reference) == set(FEATURES)
    assert set(int8.reference) == {"classes", "brightness", "size"}
    same = dataclasses.replace(float32, reference=int8.reference, precision="int8", temperature=int8.temperature)
    same = dataclasses.replace(same, out_of_distribution_threshold=int8.out_of_distribution_threshold)
    assert dataclasses.replace(int8, metrics=same.metrics, versions=same.versions) == same


def test_the_metadata_say_what_was_judged_and_how(published, images):
    folder, _, told = published
    verdict = json.loads((folder / contract.INT8_METADATA).read_text())["metrics"]["int8"]
    parts = parted(images, ModelMetadata.from_json((folder / contract.METADATA_ASSET).read_text()))
    assert (verdict["images"], verdict["calibrated_on"]) == (len(parts.judging.labels), len(parts.calibrating.labels))
    assert (verdict["int8_layers"], verdict["float_layers"]) == (4, [])
    assert verdict["figures"]["accuracy_lost"]["float32"] == 1
    assert verdict["figures"]["classes_changed"]["harm"] < 0.05
    assert any("accuracy lost" in line for line in told)
    assert any("one image on one thread" in line for line in told)


def test_the_int8_form_gives_all_outputs_with_its_temperature_inside(published, images):
    folder, report, _ = published
    model = runtime.load(folder / contract.INT8_MODEL)
    assert [port.get_names() for port in model.inputs] == [{contract.IMAGES}]
    assert {name for port in model.outputs for name in port.get_names()} == {
        contract.PROBABILITIES,
        contract.OUT_OF_DISTRIBUTION,
        contract.ACTIVATION_MAPS,
    }
    pixels = parted(images, report.metadata).judging.pixels[:50]
    int8, float32 = runtime.outputs(model, pixels), compare.by_openvino(folder, pixels)
    np.testing.assert_allclose(int8.probabilities, float32[contract.PROBABILITIES], atol=0.2)
    assert np.abs(int8.probabilities - float32[contract.PROBABILITIES]).max() > 1e-4
    # A class' logit is its map's mean and a constant, and the temperature divides it.
    divided, logits = np.diff(np.log(int8.probabilities), axis=1)[:, 0], np.diff(int8.maps.mean((1, 2)), axis=1)[:, 0]
    assert 1 / np.polyfit(logits, divided, 1)[0] == pytest.approx(report.int8.temperature, rel=2e-3)
    assert report.int8.temperature != pytest.approx(TEMPERATURE, rel=4e-3)
    # They would differ by three times as much if the last layers were quantized, each in its own way.
    assert (report.int8.temperature * divided - logits).std() < 0.1
    assert (folder / contract.INT8_MODEL).with_suffix(".bin").stat().st_size < 5000


def test_layers_that_do_harm_go_back_to_float(tmp_path, images):
    told = []
    report = convert(job_for(tmp_path, images, network(3000.0)), tell=told.append)
    verdict = report.int8.metrics["int8"]
    assert 1 <= len(verdict["float_layers"]) <= 2
    assert verdict["int8_layers"] == 4 - len(verdict["float_layers"])
    assert any(line.endswith("too much") for line in told)
    assert any("go back to float" in line for line in told)


def test_a_network_that_int8_ruins_is_not_published(tmp_path, images):
    job = job_for(tmp_path, images, network(3000.0, 3000.0, 3000.0))
    with pytest.raises(ConversionError, match=r"layers had to go back to float, .* nothing was published"):
        convert(job)
    assert not job.target.exists()
    assert not job.models.exists()


def test_neither_openvino_nor_nncf_reports_to_its_makers():
    """In a process of its own: NNCF reports nothing where pytest is imported."""
    program = """
import sys
from converter.int8 import runtime
from converter.int8.form import _gain
from nncf.telemetry import wrapper
assert sys.modules["openvino_telemetry"] is None and sys.modules["openvino.tools.ovc"] is None
assert not isinstance(wrapper.telemetry, wrapper.NNCFTelemetry)
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)


def test_a_network_that_int8_makes_no_faster_is_told():
    assert "gains nothing" in _gain(1.0, 1.0)
    assert "gains nothing" not in _gain(1.0, 0.9)
