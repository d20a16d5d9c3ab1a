import json
from dataclasses import replace

import pytest

from brain_tumor import contract
from brain_tumor.metadata import ImageSpec, MetadataError, ModelMetadata
from brain_tumor.reference import Histogram

METADATA = ModelMetadata(
    class_names=("glioma", "meningioma", "notumor", "pituitary"),
    image=ImageSpec(128, 160, "bicubic", "grayscale", crop_to_head=True, pad_to_aspect_ratio=True),
    scaling="tf",
    temperature=1.5,
    out_of_distribution_threshold=-2.5,
    out_of_distribution_score="max-probability",
    explains=True,
    name="brain-tumor",
    precision="int8",
    recommended_precision="int8",
    training={"data": "scans", "seed": 3},
    metrics={"accuracy": 0.9},
    versions={"keras": "3"},
    documentation={"intended_use": "research", "limits": ["one data set"]},
    reference={"classes": Histogram((0, 1, 2), (3, 4, 5, 0)), "brightness": Histogram((20.5,), (6, 6))},
)


def document(**changes: object) -> str:
    return json.dumps({**json.loads(METADATA.to_json()), **changes})


def test_json_and_back_is_the_same():
    assert ModelMetadata.from_json(METADATA.to_json()) == METADATA
    assert ModelMetadata.from_json(METADATA.to_json().encode()) == METADATA


def test_text_is_stable_and_readable():
    assert METADATA.to_json() == METADATA.to_json()
    assert json.loads(METADATA.to_json()) == {
        "name": "brain-tumor",
        "notice": contract.RESEARCH_NOTICE,
        "class_names": ["glioma", "meningioma", "notumor", "pituitary"],
        "image": {
            "height": 128,
            "width": 160,
            "resampling": "bicubic",
            "color_mode": "grayscale",
            "crop_to_head": True,
            "pad_to_aspect_ratio": True,
        },
        "scaling": "tf",
        "temperature": 1.5,
        "out_of_distribution": {"score": "max-probability", "threshold": -2.5},
        "explains": True,
        "precision": "int8",
        "recommended_precision": "int8",
        "training": {"data": "scans", "seed": 3},
        "metrics": {"accuracy": 0.9},
        "versions": {"keras": "3"},
        "documentation": {"intended_use": "research", "limits": ["one data set"]},
        "reference": {
            "classes": {"edges": [0, 1, 2], "counts": [3, 4, 5, 0]},
            "brightness": {"edges": [20.5], "counts": [6, 6]},
        },
    }


def test_defaults_of_metadata_written_by_hand():
    metadata = ModelMetadata.from_json('{"class_names": ["no", "yes"]}', height=24, width=32)
    assert metadata == ModelMetadata(("no", "yes"), ImageSpec(24, 32))
    assert (metadata.scaling, metadata.temperature) == ("none", 1.0)
    assert metadata.image == ImageSpec(24, 32, "bilinear", "rgb", crop_to_head=False, pad_to_aspect_ratio=False)
    assert (metadata.out_of_distribution_score, metadata.out_of_distribution_threshold) == ("energy", None)
    assert metadata.explains is False
    assert (metadata.precision, metadata.recommended_precision) == ("float32", "float32")
    assert metadata.documentation == {}
    assert metadata.reference == {}
    assert "reference" not in json.loads(metadata.to_json())


def test_the_size_in_the_text_wins_over_the_arguments():
    metadata = ModelMetadata.from_json(document(), height=24, width=32)
    assert metadata.image == METADATA.image


def test_older_code_reads_newer_metadata():
    reference = {**json.loads(METADATA.to_json())["reference"], "novelty": 1}
    assert ModelMetadata.from_json(document(novelty={"a": 1}, reference=reference)) == METADATA


def test_phantom_models_say_so():
    assert replace(METADATA, training={"data": "phantom"}).notice == (
        f"{contract.RESEARCH_NOTICE} {contract.PHANTOM_NOTICE}"
    )
    assert METADATA.notice == contract.RESEARCH_NOTICE
    assert "research only" in METADATA.notice.lower()


def test_names_beyond_ascii_survive():
    metadata = replace(METADATA, class_names=("gliome", "méningiome", "垂体"), reference={})
    assert ModelMetadata.from_json(metadata.to_json()).class_names == metadata.class_names


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ["one"]}, "class_names"),
        ({"class_names": ["same", "same"]}, "class_names"),
        ({"class_names": ["", "b"]}, "class_names"),
        ({"class_names": ["a", 2]}, "class_names"),
        ({"class_names": ["a", ["b"]]}, "class_names"),
        ({"class_names": "ab"}, "class_names"),
        ({"class_names": None}, "class_names"),
        ({"image": {"width": 10}}, "image.height"),
        ({"image": {"height": 0, "width": 10}}, "image.height"),
        ({"image": {"height": 10, "width": 4097}}, "image.width"),
        ({"image": {"height": 10.5, "width": 10}}, "image.height"),
        ({"image": {"height": True, "width": 10}}, "image.height"),
        ({"image": {"height": "10", "width": 10}}, "image.height"),
        ({"image": [10, 10]}, "image must be an object"),
        ({"image": {"height": 10, "width": 10, "resampling": "cubic"}}, "image.resampling"),
        ({"image": {"height": 10, "width": 10, "resampling": ["bilinear"]}}, "image.resampling"),
        ({"image": {"height": 10, "width": 10, "color_mode": "RGB"}}, "image.color_mode"),
        ({"image": {"height": 10, "width": 10, "crop_to_head": 1}}, "image.crop_to_head"),
        ({"image": {"height": 10, "width": 10, "pad_to_aspect_ratio": None}}, "image.pad_to_aspect_ratio"),
        ({"scaling": "other"}, "scaling"),
        ({"scaling": None}, "scaling"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"out_of_distribution": {"threshold": "high"}}, "out_of_distribution.threshold"),
        ({"out_of_distribution": {"score": "entropy"}}, "out_of_distribution.score"),
        ({"out_of_distribution": 3}, "out_of_distribution must be an object"),
        ({"explains": "yes"}, "explains"),
        ({"name": 3}, "name"),
        ({"precision": "float16"}, "precision"),
        ({"recommended_precision": 8}, "recommended_precision"),
        ({"training": []}, "training"),
        ({"metrics": "good"}, "metrics"),
        ({"versions": 2}, "versions"),
        ({"documentation": "see elsewhere"}, "documentation must be an object"),
        ({"reference": []}, "reference: must be an object"),
        ({"reference": {"size": [1, 2]}}, "reference: size must be an object"),
        ({"reference": {"size": {"edges": [1], "counts": {}}}}, "reference: size must be an object with the lists"),
        ({"reference": {"size": {"edges": [], "counts": [1]}}}, "reference: size needs 1 to 63 edges"),
        ({"reference": {"size": {"edges": [1], "counts": [1]}}}, "reference: size needs 1 to 63 edges, and one count"),
        ({"reference": {"size": {"edges": list(range(64)), "counts": [1] * 65}}}, "reference: size needs 1 to 63"),
        ({"reference": {"size": {"edges": [2, 2], "counts": [1, 1, 1]}}}, "reference: size edges must ascend"),
        ({"reference": {"size": {"edges": ["2"], "counts": [1, 1]}}}, "reference: size edges must be finite"),
        ({"reference": {"size": {"edges": [10**400], "counts": [1, 1]}}}, "reference: size"),
        ({"reference": {"size": {"edges": [2], "counts": [1, -1]}}}, "reference: size counts must be whole"),
        ({"reference": {"size": {"edges": [2], "counts": [1, 0.5]}}}, "reference: size counts must be whole"),
        ({"reference": {"size": {"edges": [2], "counts": [0, 0]}}}, "reference: size counts must be whole"),
        ({"reference": {"classes": {"edges": [0, 1], "counts": [1, 1, 1]}}}, "reference: classes needs a bin for each"),
    ],
)
def test_bad_field_is_named(changes, message):
    with pytest.raises(MetadataError, match=message):
        ModelMetadata.from_json(document(**changes))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, b"\xff\xfe\x00", '"text"'])
def test_text_that_is_not_metadata(text):
    with pytest.raises(MetadataError):
        ModelMetadata.from_json(text)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite(number):
    text = document(temperature=1.25).replace("1.25", number)
    with pytest.raises(MetadataError, match="temperature"):
        ModelMetadata.from_json(text)


def test_metadata_that_json_cannot_hold_is_not_written():
    with pytest.raises(ValueError, match="JSON"):
        replace(METADATA, metrics={"loss": float("nan")}).to_json()


def test_huge_integer_temperature_is_refused():
    with pytest.raises(MetadataError, match="temperature"):
        ModelMetadata.from_json(document(temperature=10**400))
