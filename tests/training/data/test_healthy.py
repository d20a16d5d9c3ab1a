"""Which class is taken for the one without tumour."""

import pytest

from training.data.errors import DataError
from training.data.healthy import healthy_class, not_counted


@pytest.mark.parametrize(
    "name",
    [
        "notumor",
        "no_tumor",
        "no tumor",
        "no-tumour",
        "No Tumor",
        "no",
        "NO",
        "healthy",
        "Healthy",
        "normal",
        "0_Normal",
    ],
)
def test_a_usual_name_is_known_and_taken_as_it_is_written(name: str) -> None:
    assert healthy_class(("glioma_tumor", name, "tumor")) == name


@pytest.mark.parametrize("name", ["tumor", "yes", "glioma_tumor", "nodule", "abnormal", "novel"])
def test_another_name_is_not_taken_for_one(name: str) -> None:
    assert healthy_class((name, "pituitary")) is None


def test_the_name_that_is_given_goes_before_the_usual_ones() -> None:
    assert healthy_class(("control", "no", "normal"), "control") == "control"
    with pytest.raises(DataError, match="no, normal may all be the class without tumour: name it with --healthy"):
        healthy_class(("control", "no", "normal"))
    with pytest.raises(DataError, match=r"there is no class Control .*: name one of control, no"):
        healthy_class(("control", "no"), "Control")


def test_the_sentence_without_one_names_the_classes_and_the_option() -> None:
    assert "none of the classes a, b is known" in not_counted(("a", "b"))
    assert "--healthy" in not_counted(("a", "b"))
