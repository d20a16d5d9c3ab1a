"""A search for a network's learning rate, on validation alone; an interrupted search continues where it was stopped."""

import logging
from pathlib import Path
from typing import Any

import keras
import optuna
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from training.data.data_set import DataSet
from training.data.groups import Groups
from training.train import run
from training.train.checkpoint import CheckpointError, require_same
from training.train.fit import DivergedError
from training.train.options import Configuration

log = logging.getLogger(__name__)

_RANGE = 10.0  # the search goes from a tenth of the recipe's own rate to ten times that rate
_RANDOM_TRIALS = 3  # before the sampler uses the results of earlier trials


def search(data_set: DataSet, groups: Groups, configuration: Configuration, trials: int, folder: Path) -> float:
    """The learning rate whose short run gives the least calibrated validation loss.

    The first trial takes the configuration's own rate.

    Args:
        data_set: The images.
        groups: Which of them must not be parted.
        configuration: The configuration of one trial.
        trials: Number of trials.
        folder: Gets the trials' runs, and their losses in ``search.db``.

    Raises:
        DivergedError: No trial gave a finite loss.
        CheckpointError: ``folder`` holds a search with another configuration or on other images.
    """
    middle = configuration.main_phase.learning_rate
    model = configuration.model
    study = _study(model, folder, {**configuration.as_json(), "fingerprint": data_set.fingerprint()})
    if not study.trials:
        study.enqueue_trial({"learning_rate": middle})
    for number in range(trials):
        rate = propose_rate(study, number, middle, configuration.seed)
        if study.trials[number].state == TrialState.FAIL:
            continue
        log.info("%s: trial %d of %d, learning rate %.2g", model, number + 1, trials, rate)
        try:
            trial = configuration.with_main_phase(learning_rate=rate)
            metadata = run.train(data_set, groups, trial, folder / f"trial-{number}")
        except DivergedError as error:
            log.info("%s", error)
            study.tell(number, state=TrialState.FAIL)
            continue
        keras.utils.clear_session(free_memory=True)
        (folder / f"trial-{number}" / run.MODEL).unlink(missing_ok=True)  # only the metrics are needed
        # Finished trials come here again, too, so that train() holds them against the configuration and the images.
        study.tell(number, metadata.metrics["validation"]["negative_log_likelihood"], skip_if_finished=True)
    complete = [finished for finished in study.trials[:trials] if finished.state == TrialState.COMPLETE]
    if not complete:
        raise DivergedError(
            f"{model}: no learning rate that was tried gave a finite loss; remove {folder} and lower --learning-rate"
        )
    best = min(complete, key=lambda finished: finished.value or 0.0)  # the first among equals
    return float(best.params["learning_rate"])


def _study(name: str, folder: Path, identity: dict[str, Any]) -> optuna.Study:
    """The search in ``folder``, which must be this one, or a new one."""
    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = folder / "search.db"
    try:
        study = optuna.create_study(storage=storage(path), study_name=name, load_if_exists=True)
        kept = study.user_attrs.get("identity")
        if kept is None:
            study.set_user_attr("identity", identity)
    except (optuna.exceptions.OptunaError, SQLAlchemyError) as error:
        raise CheckpointError(f"{path} cannot be used ({type(error).__name__}): remove {folder}") from error
    if kept is not None:
        require_same(kept, identity, folder)
    return study


def storage(path: Path) -> optuna.storages.RDBStorage:
    """What keeps a search in a file of SQLite; between two steps it has no connection open, which nobody would close.

    Raises:
        SQLAlchemyError: The file holds something else.
    """
    return optuna.storages.RDBStorage(f"sqlite:///{path.resolve()}", engine_kwargs={"poolclass": NullPool})


def propose_rate(study: optuna.Study, number: int, middle: float, seed: int) -> float:
    """The learning rate of a trial: the one it was started with, or a new one that follows from the trials before it.

    Args:
        study: The search.
        number: The trial's number, from 0.
        middle: The rate in the middle of the range, on a logarithmic scale.
        seed: The same seed gives the same rates.
    """
    trials = study.trials
    # Seeded for each trial, so that an interrupted search continues as it would have.
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=_RANDOM_TRIALS, seed=seed + number)
    if number == len(trials) or trials[number].state == TrialState.WAITING:
        trial = study.ask()
    elif "learning_rate" in trials[number].params:
        return float(trials[number].params["learning_rate"])
    else:  # stopped after its start and before its rate was proposed
        trial = optuna.trial.Trial(study, trials[number]._trial_id)
    return trial.suggest_float("learning_rate", middle / _RANGE, middle * _RANGE, log=True)
