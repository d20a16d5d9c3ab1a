import numpy as np
import pytest

from training.evaluate import classification

NAMES = ("glioma", "meningioma", "notumor", "pituitary")


def test_the_figures_of_a_known_confusion() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    answers = [0, 2, 1, 1, 2, 0, 2, 3]
    figures = classification(5 * np.eye(4, dtype=np.float32)[answers], labels, NAMES, temperature=1.0)
    assert figures["accuracy"] == 5 / 8
    assert figures["sensitivity"] == {"glioma": 0.5, "meningioma": 1.0, "notumor": 0.5, "pituitary": 0.5}
    assert figures["confusion_matrix"] == [[1, 0, 1, 0], [0, 2, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1]]
    assert (figures["tumours"], figures["tumours_missed"], figures["pictures"]) == (6, 2, 8)
    wrong, right = np.log(np.exp(5) + 3), np.log(np.exp(5) + 3) - 5
    assert figures["negative_log_likelihood"] == pytest.approx((3 * wrong + 5 * right) / 8, abs=1e-4)


def test_classes_without_notumor_have_no_tumours_missed() -> None:
    figures = classification(np.eye(2, dtype=np.float32), np.array([0, 1]), ("a", "b"), 1.0)
    assert "tumours_missed" not in figures
