"""The search for a learning rate: what it proposes does not depend on where it was stopped."""

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from tests.training.configurations import configuration
from training.compare.search import propose_rate, search, storage
from training.data.data_set import DataSet
from training.data.groups import by_patient
from training.train.checkpoint import CheckpointError
from training.train.fit import DivergedError
from training.train.run import MODEL, read_metadata

TRIALS = 6  # more than the random ones
# Measured: the small network's loss overflows from a rate between 1e6 and 3e6 on; seed 10 goes on with 0.2 of it.
WILD, WILD_SEED = 4e6, 10


def study_in(folder: Path) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(storage=storage(folder / "search.db"), study_name="s", load_if_exists=True)


def loss(rate: float) -> float:
    """A loss with its minimum at 0.003."""
    return abs(rate - 0.003)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The rates of a search whose losses are ``loss``; the fourth trial diverges."""
    study = study_in(tmp_path_factory.mktemp("search"))
    rates = []
    for number in range(TRIALS):
        rates.append(propose_rate(study, number, 0.002, seed=7))
        tell(study, number, rates[-1])
    return rates


def tell(study: optuna.Study, number: int, rate: float) -> None:
    if number == 3:
        study.tell(number, state=TrialState.FAIL)
    else:
        study.tell(number, loss(rate))


def test_rates_lie_around_the_middle_and_differ(uninterrupted: list[float]) -> None:
    assert all(0.0002 <= rate <= 0.02 for rate in uninterrupted)
    assert len(set(uninterrupted)) == TRIALS


@pytest.mark.parametrize("moment", ["before a trial", "in a trial", "before its rate was proposed"])
def test_a_search_that_is_stopped_again_and_again_proposes_the_same(
    moment: str, uninterrupted: list[float], tmp_path: Path
) -> None:
    for number in range(TRIALS):
        if moment == "before its rate was proposed":
            study_in(tmp_path).ask()
        elif moment == "in a trial":
            propose_rate(study_in(tmp_path), number, 0.002, seed=7)
        study = study_in(tmp_path)  # as a new process finds it
        rate = propose_rate(study, number, 0.002, seed=7)
        assert rate == uninterrupted[number]
        tell(study, number, rate)
        assert len(study.trials) == number + 1


def test_another_seed_tries_other_rates(uninterrupted: list[float], tmp_path: Path) -> None:
    assert propose_rate(study_in(tmp_path), 0, 0.002, seed=8) != uninterrupted[0]


def test_a_trial_that_diverges_is_passed_over_and_not_tried_again(phantom_data: DataSet, tmp_path: Path) -> None:
    groups = by_patient(phantom_data)
    wild = configuration(epochs=1, learning_rate=WILD, seed=WILD_SEED)
    with pytest.raises(
        DivergedError, match=r"small: no learning rate that was tried gave a finite loss; remove .* and lower"
    ):
        search(phantom_data, groups, wild, 1, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "trial-0").rglob("*")}
    rate = search(phantom_data, groups, wild, 3, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "trial-0").rglob("*")} == before
    trials = [read_metadata(tmp_path / f"trial-{number}") for number in (1, 2)]
    best = min(trials, key=lambda trial: trial.metrics["validation"]["negative_log_likelihood"])
    assert rate == best.training["options"]["phases"][-1]["learning_rate"] < WILD
    assert not (tmp_path / "trial-1" / MODEL).exists()  # only the metrics are needed
    assert search(phantom_data, groups, wild, 3, tmp_path) == rate
    with pytest.raises(CheckpointError, match=r"holds a run of another phases 1 epochs \(1, not 2\)"):
        search(phantom_data, groups, wild.with_main_phase(epochs=2), 3, tmp_path)
    with pytest.raises(CheckpointError, match="holds a run of another phases 1 learning rate"):
        search(phantom_data, groups, wild.with_main_phase(learning_rate=1e-3), 3, tmp_path)


def test_a_damaged_search_is_explained(phantom_data: DataSet, tmp_path: Path) -> None:
    (tmp_path / "search.db").write_bytes(b"no database" * 100)
    with pytest.raises(CheckpointError, match=r"search\.db cannot be used .*: remove "):
        search(phantom_data, by_patient(phantom_data), configuration(epochs=1), 1, tmp_path)
