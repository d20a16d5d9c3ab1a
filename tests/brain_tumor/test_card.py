import json
from dataclasses import replace

import pytest

from brain_tumor import contract
from brain_tumor.card import Card, CardError

CARD = Card(
    class_names=("glioma", "meningioma", "notumor", "pituitary"),
    height=128,
    width=160,
    resampling="bicubic",
    scaling="tf",
    temperature=1.5,
    out_of_distribution_threshold=-2.5,
    explains=True,
    name="brain-tumor",
    training={"data": "scans", "seed": 3},
    metrics={"accuracy": 0.9},
    versions={"keras": "3"},
    documentation={"intended_use": "research", "limits": ["one data set"]},
)


def document(**changes: object) -> str:
    return json.dumps({**json.loads(CARD.to_json()), **changes})


def test_json_and_back_is_the_same():
    assert Card.from_json(CARD.to_json()) == CARD
    assert Card.from_json(CARD.to_json().encode()) == CARD


def test_text_is_stable_and_readable():
    assert CARD.to_json() == CARD.to_json()
    assert json.loads(CARD.to_json()) == {
        "name": "brain-tumor",
        "notice": contract.RESEARCH_NOTICE,
        "class_names": ["glioma", "meningioma", "notumor", "pituitary"],
        "picture": {"height": 128, "width": 160, "resampling": "bicubic"},
        "scaling": "tf",
        "temperature": 1.5,
        "out_of_distribution": {"score": "energy", "threshold": -2.5},
        "explains": True,
        "training": {"data": "scans", "seed": 3},
        "metrics": {"accuracy": 0.9},
        "versions": {"keras": "3"},
        "documentation": {"intended_use": "research", "limits": ["one data set"]},
    }


def test_defaults_of_a_card_written_by_hand():
    card = Card.from_json('{"class_names": ["no", "yes"]}', height=24, width=32)
    assert card == Card(("no", "yes"), 24, 32)
    assert (card.resampling, card.scaling, card.temperature) == ("bilinear", "none", 1.0)
    assert card.out_of_distribution_threshold is None
    assert card.explains is False
    assert card.documentation == {}


def test_the_card_s_own_size_counts_before_the_given_one():
    card = Card.from_json(document(), height=24, width=32)
    assert (card.height, card.width) == (128, 160)


def test_an_older_reader_takes_a_newer_card():
    assert Card.from_json(document(novelty={"a": 1})) == CARD


def test_phantom_models_say_so():
    assert replace(CARD, training={"data": "phantom"}).notice == (
        f"{contract.RESEARCH_NOTICE} {contract.PHANTOM_NOTICE}"
    )
    assert CARD.notice == contract.RESEARCH_NOTICE
    assert "research only" in CARD.notice.lower()


def test_names_beyond_ascii_survive():
    card = replace(CARD, class_names=("gliome", "méningiome", "垂体"))
    assert Card.from_json(card.to_json()).class_names == card.class_names


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
        ({"picture": {"width": 10}}, "picture.height"),
        ({"picture": {"height": 0, "width": 10}}, "picture.height"),
        ({"picture": {"height": 10, "width": 4097}}, "picture.width"),
        ({"picture": {"height": 10.5, "width": 10}}, "picture.height"),
        ({"picture": {"height": True, "width": 10}}, "picture.height"),
        ({"picture": {"height": "10", "width": 10}}, "picture.height"),
        ({"picture": [10, 10]}, "picture must be an object"),
        ({"picture": {"height": 10, "width": 10, "resampling": "cubic"}}, "picture.resampling"),
        ({"picture": {"height": 10, "width": 10, "resampling": ["bilinear"]}}, "picture.resampling"),
        ({"scaling": "other"}, "scaling"),
        ({"scaling": None}, "scaling"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"out_of_distribution": {"threshold": "high"}}, "out_of_distribution.threshold"),
        ({"out_of_distribution": 3}, "out_of_distribution must be an object"),
        ({"explains": "yes"}, "explains"),
        ({"name": 3}, "name"),
        ({"training": []}, "training"),
        ({"metrics": "good"}, "metrics"),
        ({"versions": 2}, "versions"),
        ({"documentation": "see elsewhere"}, "documentation must be an object"),
    ],
)
def test_bad_field_is_named(changes, message):
    with pytest.raises(CardError, match=message):
        Card.from_json(document(**changes))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, b"\xff\xfe\x00", '"text"'])
def test_text_that_is_no_card(text):
    with pytest.raises(CardError):
        Card.from_json(text)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite(number):
    text = document(temperature=1.25).replace("1.25", number)
    with pytest.raises(CardError, match="temperature"):
        Card.from_json(text)


def test_a_card_that_json_cannot_hold_is_not_written():
    with pytest.raises(ValueError, match="JSON"):
        replace(CARD, metrics={"loss": float("nan")}).to_json()


def test_huge_integer_temperature_is_refused():
    with pytest.raises(CardError, match="temperature"):
        Card.from_json(document(temperature=10**400))
