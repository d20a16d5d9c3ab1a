"""Several networks by several seeds, each at a learning rate of its own: accuracy against cost, on validation alone."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from brain_tumor.atomic import write_json
from brain_tumor.quality.metrics import Predictions, intervals
from training.compare import cost
from training.compare.plan import Plan
from training.compare.search import search
from training.compare.table import Row, report, select_model
from training.data.data_set import DataSet
from training.data.groups import Groups
from training.serving import convert
from training.train import run
from training.train.options import Configuration

log = logging.getLogger(__name__)

COMPARISON, COST, SEARCH = "compare.json", "cost.json", "search"


def compare(data_set: DataSet, groups: Groups, plan: Plan, out: Path) -> dict[str, Any]:
    """Train every network of the plan, measure its cost, and write the table and the Pareto front.

    Finished parts are not done again. Testing is not used.

    Args:
        data_set: The images.
        groups: Which of them must not be parted.
        plan: What is compared.
        out: Gets the results.

    Returns:
        The content of ``compare.json``: the rows, which network is selected, and where its first run lies.

    Raises:
        DataError: The images cannot be used.
        NetworkError: A network cannot be built.
        CheckpointError: A folder holds another run, or a damaged one.
        DivergedError: A loss is no longer a number.
        ServingError: A network cannot be converted or served.
    """
    rows = []
    for candidate in plan.candidates:
        rate = candidate.main_phase.learning_rate
        if plan.trials:
            rate = search(data_set, groups, plan.trial(candidate), plan.trials, out / candidate.model / SEARCH)
        folders = plan.runs(candidate.model, out)
        for seed, folder in zip(plan.seeds, folders, strict=True):
            log.info("%s: seed %d, learning rate %.2g", candidate.model, seed, rate)
            run.train(data_set, groups, replace(candidate.with_main_phase(learning_rate=rate), seed=seed), folder)
            keras.utils.clear_session(free_memory=True)
        rows.append(_row(candidate, rate, groups, folders))
    selected = select_model(rows)
    first_run = plan.runs(selected.model, out)[0]
    document = {
        "images": len(run.read_validation(first_run).files),
        "seeds": list(plan.seeds),
        "trials": plan.trials,
        "rows": [asdict(row) for row in rows],
        "selected": {"model": selected.model, "run": first_run.relative_to(out).as_posix()},
    }
    report(document, rows, data_set.name, out)
    write_json(out / COMPARISON, document)
    return document


def _row(candidate: Configuration, rate: float, groups: Groups, folders: Sequence[Path]) -> Row:
    outputs = [run.read_validation(folder) for folder in folders]
    correct = np.stack([validation.logits.argmax(1) == validation.labels for validation in outputs])  # (seed, image)
    mean = correct.mean(0)
    predictions = Predictions((), np.empty((mean.size, 0)), outputs[0].labels, groups.of(outputs[0].files))
    low, high = intervals(predictions, lambda _, weights: {"accuracy": float(mean @ weights / weights.sum())})[
        "accuracy"
    ]
    accuracies = [float(accuracy) for accuracy in correct.mean(1)]
    return Row(candidate.model, rate, accuracies, float(low), float(high), **_cost(folders[0]), side=candidate.side)


def _cost(folder: Path) -> dict[str, Any]:
    """The cost of a run's network, measured once: noise in a second measurement could change the selection."""
    path = folder / COST
    try:
        measured = json.loads(path.read_text(encoding="utf-8"))
        if measured.keys() == {"parameters", "multiplications", "megabytes", "milliseconds"}:
            return measured
    except (OSError, ValueError, AttributeError):
        pass
    model = run.load_model(folder)
    version = convert(folder / run.MODEL, folder / "models")
    log.info("%s: timing the model server", model.name)
    measured = {
        "parameters": model.count_params(),
        "multiplications": cost.multiplications(model),
        "megabytes": cost.size(version),
        "milliseconds": cost.milliseconds(version, model.input_shape[1]),
    }
    write_json(path, measured)
    return measured
