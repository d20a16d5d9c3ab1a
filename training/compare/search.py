"""A learning rate for each network, found on validation alone by a search that goes on where it was stopped."""

import logging
from pathlib import Path
from typing import Any

import keras
import optuna
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from training.data import DataSet
from training.data.groups import Groups
from training.train import run
from training.train.checkpoint import CheckpointError, require_same
from training.train.fit import DivergedError
from training.train.recipes import Options, with_learning_rate

log = logging.getLogger(__name__)

_RANGE = 10.0  # the search goes from a tenth of the recipe's own rate to ten times it
_RANDOM_TRIALS = 3  # before the sampler learns from what it saw


def search(found: DataSet, groups: Groups, options: Options, trials: int, folder: Path) -> float:
    """The learning rate whose short run gives the least calibrated validation loss.

    The first trial is the recipe's own rate. Trials lie in ``folder``, their figures in ``search.db`` there.

    Args:
        options: of one trial.

    Raises:
        DivergedError: no trial gave a finite loss.
        CheckpointError: ``folder`` holds a search with other options or on other data.
    """
    middle = options.phases[-1].learning_rate
    study = _study(options.model, folder, {**options.as_json(), "fingerprint": found.fingerprint()})
    if not study.trials:
        study.enqueue_trial({"learning_rate": middle})
    for number in range(trials):
        rate = proposed_rate(study, number, middle, options.seed)
        if study.trials[number].state == TrialState.FAIL:
            continue
        log.info("%s: trial %d of %d, learning rate %.2g", options.model, number + 1, trials, rate)
        try:
            card = run.train(found, groups, with_learning_rate(options, rate), folder / f"trial-{number}")
        except DivergedError as error:
            log.info("%s", error)
            study.tell(number, state=TrialState.FAIL)
            continue
        keras.utils.clear_session(free_memory=True)
        (folder / f"trial-{number}" / run.MODEL).unlink(missing_ok=True)  # only its figures are of use
        # A trial that is finished was only held against the options and the data, which may have changed since.
        study.tell(number, card.metrics["validation"]["negative_log_likelihood"], skip_if_finished=True)
    done = [trial for trial in study.trials[:trials] if trial.state == TrialState.COMPLETE]
    if not done:
        raise DivergedError(
            f"{options.model}: no learning rate that was tried gave a finite loss; remove {folder} and lower "
            "--learning-rate"
        )
    best = min(done, key=lambda trial: trial.value or 0.0)  # the first of equal ones
    return float(best.params["learning_rate"])


def _study(name: str, folder: Path, identity: dict[str, Any]) -> optuna.Study:
    """The search in ``folder``, if it is this one, or a new one."""
    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = folder / "search.db"
    try:
        study = optuna.create_study(storage=f"sqlite:///{path.resolve()}", study_name=name, load_if_exists=True)
        known = study.user_attrs.get("identity")
        if known is None:
            study.set_user_attr("identity", identity)
    except (optuna.exceptions.OptunaError, SQLAlchemyError) as error:
        raise CheckpointError(f"{path} cannot be used ({type(error).__name__}): remove {folder}") from error
    if known is not None:
        require_same(known, identity, folder)
    return study


def proposed_rate(study: optuna.Study, number: int, middle: float, seed: int) -> float:
    """A trial's rate: the one it was begun with, or a new one, which the trials before it decide."""
    trials = study.trials
    # Seeded for each trial, so that a search that was stopped goes on as it would have.
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=_RANDOM_TRIALS, seed=seed + number)
    if number == len(trials) or trials[number].state == TrialState.WAITING:
        trial = study.ask()
    elif "learning_rate" in trials[number].params:
        return float(trials[number].params["learning_rate"])
    else:  # stopped after it was begun and before its rate was chosen
        trial = optuna.trial.Trial(study, trials[number]._trial_id)
    return trial.suggest_float("learning_rate", middle / _RANGE, middle * _RANGE, log=True)
