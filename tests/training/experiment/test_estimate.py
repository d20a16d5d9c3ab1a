"""The estimate of an experiment's time: what it counts, and how it is written."""

from pathlib import Path

import pytest

from tests.training.configurations import configuration
from training.experiment.estimate import StepTimes, duration, seconds_left


def test_the_remaining_epochs_are_counted(tmp_path: Path) -> None:
    run = configuration("MobileNet", weights="imagenet", epochs=10)
    times = StepTimes({"head": 1.0, "all": 3.0}, first=20.0)
    reading = 3.2
    whole = seconds_left(run, times, tmp_path, 3200, 0)
    assert whole == pytest.approx(100 * (5 * 1 + 10 * 3) + 2 * 20 + reading)
    (tmp_path / "epochs.csv").write_text("epoch,phase\n" + "1,head\n" * 5 + "6,all\n" * 4)
    assert seconds_left(run, times, tmp_path, 3200, 0) == pytest.approx(100 * 6 * 3 + 2 * 20 + reading)


@pytest.mark.parametrize(
    ("seconds", "text"), [(3, "3 s"), (300, "5 min"), (7380, "2 h 3 min"), (200_000, "2 days 7 h")]
)
def test_durations_are_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text
