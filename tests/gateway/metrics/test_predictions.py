import re
from dataclasses import replace

import numpy as np
import pytest

from brain_tumor.metadata import MAX_PROBABILITY, ModelMetadata
from brain_tumor.reference import MAX_BINS
from gateway.metrics import Metrics
from gateway.metrics.predictions import Observed
from tests.brain_tumor import images
from tests.gateway.calls import PNG, form, predict
from tests.gateway.fake_model_server import REFERENCE, FakeModel, metadata
from tests.gateway.http.open_inference.bodies import RED, infer, of_pixels, pixels

WITH_REFERENCE = metadata(reference=REFERENCE, out_of_distribution_threshold=-7.0)
OBSERVED = Observed(2, 0.95, -9.0, 60.0, 48)
MADE_BY = 'model_version="1",precision="float32"'


def samples(metrics: Metrics | str) -> dict[str, float]:
    text = metrics if isinstance(metrics, str) else metrics.render().decode()
    lines = [line for line in text.splitlines() if line.startswith("gateway_")]
    found = {series: float(value) for series, value in (line.rsplit(" ", 1) for line in lines)}
    assert len(found) == len(lines)  # Prometheus refuses a page that has a series twice
    return found


def observed(*versions: int, of: ModelMetadata = WITH_REFERENCE, image: Observed = OBSERVED) -> dict[str, float]:
    metrics = Metrics()
    for version in versions:
        metrics.predictions.observe(version, of, image)
    return samples(metrics)


def buckets(found: dict[str, float], name: str) -> dict[str, float]:
    pattern = re.compile(rf'{name}_bucket{{le="([^"]+)",{MADE_BY}}}')
    return {match[1]: value for series, value in found.items() if (match := pattern.fullmatch(series))}


def test_both_routes_count_what_the_model_says(client, model_server):
    model_server.model = FakeModel(WITH_REFERENCE)
    predict(client)
    client.post("/predict", data=form(images.GLIOMA, images.NOTUMOR, b"none"))
    infer(client, of_pixels(pixels(RED), pixels(RED).tolist()))
    found = samples(client.get("/metrics").get_data(as_text=True))
    assert found[f'gateway_predictions_total{{class="glioma",{MADE_BY}}}'] == 3
    assert found[f'gateway_predictions_total{{class="notumor",{MADE_BY}}}'] == 1
    assert found[f'gateway_predictions_total{{class="pituitary",{MADE_BY}}}'] == 0
    for name in ("gateway_confidence", "gateway_ood_score", "gateway_brightness"):
        assert buckets(found, name)["+Inf"] == 4, name
    assert buckets(found, "gateway_image_size_pixels")["+Inf"] == 3  # whoever sends pixels has changed the size


def test_live_histograms_have_the_bins_of_the_reference():
    found = observed(1, 1)
    assert buckets(found, "gateway_confidence") == {"0.5": 0, "0.9": 0, "+Inf": 2}
    assert buckets(found, "gateway_ood_score") == {"-8.0": 2, "-7.0": 2, "+Inf": 2}
    assert buckets(found, "gateway_brightness") == {"50.0": 0, "100.0": 2, "+Inf": 2}
    assert buckets(found, "gateway_image_size_pixels") == {"16.0": 0, "64.0": 2, "+Inf": 2}
    assert found[f"gateway_brightness_sum{{{MADE_BY}}}"] == 120


def test_the_reference_is_shown_beside_them():
    found = observed(1)
    labels = f'gateway_reference_share{{feature="%s",le="%s",{MADE_BY}}}'
    assert [found[labels % ("confidence", le)] for le in ("0.5", "0.9", "+Inf")] == pytest.approx([0.2, 0.7, 1.0])
    assert found[labels % ("classes", "meningioma")] == 0.5


def test_flagged_images_are_those_above_the_threshold():
    series = f"gateway_out_of_distribution_total{{{MADE_BY}}}"
    at, above = (OBSERVED._replace(ood_score=score) for score in (-7.0, -6.9))
    assert [observed(1, image=image)[series] for image in (at, above)] == [0, 1]
    no_threshold = replace(WITH_REFERENCE, out_of_distribution_threshold=None)
    assert observed(1, of=no_threshold, image=above)[series] == 0


def test_the_index_is_there_once_a_window_is_full():
    def series(feature: str, window: int) -> str:
        return f'gateway_population_stability_index{{feature="{feature}",{MADE_BY},window="{window}"}}'

    assert not [name for name in observed(*[1] * 199) if "stability" in name]
    found = observed(*[1] * 200)
    assert {name for name in found if "stability" in name} == {series(feature, 200) for feature in REFERENCE}
    assert found[series("classes", 200)] > 1  # all images are of one class
    assert found[series("size", 200)] < 0.25  # and of the usual size


def test_a_model_without_a_reference_has_no_drift_but_is_counted():
    plain = replace(WITH_REFERENCE, reference={})
    found = observed(1, of=plain)
    assert not [name for name in found if "stability" in name or "reference" in name or "brightness" in name]
    assert buckets(found, "gateway_confidence")["0.99"] == 1
    assert buckets(found, "gateway_ood_score")["-10.0"] == 0
    by_probability = replace(plain, out_of_distribution_score=MAX_PROBABILITY)
    assert buckets(observed(1, of=by_probability), "gateway_ood_score")["0.1"] == 1


def test_versions_and_precisions_count_apart_and_old_ones_are_forgotten():
    found = observed(*range(1, 7), 3, 7)
    versions = {match[1] for name in found if (match := re.search(r'model_version="(\d+)"', name))}
    assert versions == {"3", "5", "6", "7"}
    metrics = Metrics()
    for of in (WITH_REFERENCE, replace(WITH_REFERENCE, precision="int8")):
        metrics.predictions.observe(1, of, OBSERVED)
    assert [value for name, value in samples(metrics).items() if 'class="notumor"' in name] == [1, 1]


def test_a_version_that_describes_itself_anew_is_counted_anew():
    metrics = Metrics()
    for of in (
        WITH_REFERENCE,
        replace(WITH_REFERENCE, reference=dict(REFERENCE)),
        replace(WITH_REFERENCE, reference={}),
    ):
        metrics.predictions.observe(1, of, OBSERVED)
        count = samples(metrics)[f'gateway_predictions_total{{class="notumor",{MADE_BY}}}']
        assert count == (1 if not of.reference or of is WITH_REFERENCE else 2)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([f"c{index}" for index in range(1000)], id="many"),
        pytest.param(["a" * 5000, "a" * 4999 + "b"], id="long"),
        pytest.param(["other", *(f"c{index}" for index in range(99))], id="one is called as the rest"),
    ],
)
def test_class_names_are_bounded(names):
    metrics = Metrics()
    of = ModelMetadata(tuple(names), WITH_REFERENCE.image)
    for index in (0, len(names) - 1):
        metrics.predictions.observe(1, of, OBSERVED._replace(class_index=index))
    counted = {name: value for name, value in samples(metrics).items() if "gateway_predictions" in name}
    assert len(counted) == min(len(names), MAX_BINS + 1)
    assert all(len(name) < 200 for name in counted)
    assert sum(counted.values()) == 2


def test_what_is_counted_of_an_image_is_what_the_model_saw(client, model_server):
    model_server.model = FakeModel(WITH_REFERENCE)
    grey = images.encode(images.Image.fromarray(np.full((40, 70, 3), 77, np.uint8)))
    client.post("/predict", data=grey, headers=PNG)
    found = samples(client.get("/metrics").get_data(as_text=True))
    assert found[f"gateway_brightness_sum{{{MADE_BY}}}"] == 77
    assert found[f"gateway_image_size_pixels_sum{{{MADE_BY}}}"] == 70
