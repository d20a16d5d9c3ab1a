"""Several networks by several seeds, each at a learning rate of its own: accuracy against cost, on validation alone."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from training.atomic import write_json
from training.compare import cost
from training.compare.search import search
from training.compare.table import Row, chosen, report
from training.data import DataSet
from training.data.groups import Groups
from training.metrics import Answers, intervals
from training.serving import convert
from training.train import run
from training.train.recipes import Options, with_epochs, with_learning_rate

log = logging.getLogger(__name__)

COMPARISON, COST, SEARCH = "compare.json", "cost.json", "search"


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        candidates: one run's options for each network. seeds: of the runs at the rate that was found.
        trials: of the search for a rate; 0 takes the candidate's own. trial_epochs: of a trial's main phase.
    """

    candidates: Sequence[Options]
    seeds: Sequence[int]
    trials: int
    trial_epochs: int

    def trial(self, options: Options) -> Options:
        """A candidate's short run, at its own rate."""
        return replace(with_epochs(options, self.trial_epochs), seed=self.seeds[0])

    def runs(self, options: Options, out: Path) -> list[Path]:
        """Where a candidate's runs lie."""
        return [out / options.model / f"seed-{seed}" for seed in self.seeds]


def compare(found: DataSet, groups: Groups, plan: Plan, out: Path) -> dict[str, Any]:
    """Train all of it in ``out``, measure what each network costs, and write the table and its front.

    What is finished is not done again. Testing is not looked at.

    Returns:
        what ``compare.json`` holds: the rows, and which one is proposed and where its first run lies.

    Raises:
        DataError, NetworkError, CheckpointError, DivergedError, ServingError: from what it does.
    """
    rows = []
    for options in plan.candidates:
        rate = options.phases[-1].learning_rate
        if plan.trials:
            rate = search(found, groups, plan.trial(options), plan.trials, out / options.model / SEARCH)
        runs = plan.runs(options, out)
        for seed, folder in zip(plan.seeds, runs, strict=True):
            log.info("%s: seed %d, learning rate %.2g", options.model, seed, rate)
            run.train(found, groups, replace(with_learning_rate(options, rate), seed=seed), folder)
            keras.utils.clear_session(free_memory=True)
        rows.append(_row(options, rate, groups, runs))
    best = chosen(rows)
    final = out / best.model / f"seed-{plan.seeds[0]}"
    document = {
        "images": len(run.read_validation(final).files),
        "seeds": list(plan.seeds),
        "trials": plan.trials,
        "rows": [asdict(row) for row in rows],
        "chosen": {"model": best.model, "run": final.relative_to(out).as_posix()},
    }
    report(document, rows, found.name, out)
    write_json(out / COMPARISON, document)
    return document


def _row(options: Options, rate: float, groups: Groups, runs: Sequence[Path]) -> Row:
    kept = [run.read_validation(each) for each in runs]
    right = np.stack([each.logits.argmax(1) == each.labels for each in kept])  # (seed, image)
    mean = right.mean(0)
    answers = Answers((), np.empty((mean.size, 0)), kept[0].labels, groups.of(kept[0].files))
    low, high = intervals(answers, lambda _, weights: {"accuracy": float(mean @ weights / weights.sum())})["accuracy"]
    accuracies = [float(each) for each in right.mean(1)]
    return Row(options.model, rate, accuracies, float(low), float(high), **_cost(runs[0]), side=options.side)


def _cost(folder: Path) -> dict[str, Any]:
    """What a run's network costs: measured once, so that no later call proposes another one for its noise."""
    path = folder / COST
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept.keys() == {"parameters", "multiplications", "megabytes", "milliseconds"}:
            return kept
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
