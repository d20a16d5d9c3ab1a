"""The whole way from images to a served model, in one folder; what is done already is not done again.

OUT/explore, OUT/audit, OUT/compare (with a run for each network and seed), OUT/models (what is served), and, last,
OUT/experiment.json and OUT/report.html, which say what came out and where.
"""

import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from brain_tumor.contract import METADATA_ASSET, MODEL_NAME
from brain_tumor.metadata import ModelMetadata
from training import card as model_card
from training.atomic import write_json
from training.audit import AUDIT, audit
from training.compare import Plan, compare
from training.data import DataError, DataSet
from training.data.groups import GROUPS_FILE, Groups, load
from training.evaluate import evaluate
from training.experiment import page
from training.experiment.served import check
from training.explore import SUMMARY, explore
from training.serving import convert
from training.train import run

log = logging.getLogger(__name__)

EXPERIMENT = "experiment.json"
_SEED = 0


def experiment(data: DataSet, plan: Plan, out: Path) -> dict[str, Any]:
    """Explore, audit, compare, evaluate the network that is proposed, write its card, convert it, and serve it.

    Returns:
        what ``experiment.json`` holds.

    Raises:
        TrainingError: one of the stages cannot be done; the message says why.
    """
    _stage("explore", out / "explore")
    if not done(out / "explore" / SUMMARY, data):
        explore(data, out / "explore", _SEED)
    _stage("audit", out / "audit")
    groups = known_groups(out / "audit", data) or audit(data, out / "audit")
    _stage("compare", out / "compare")
    comparison = compare(data, groups, plan, out / "compare")
    final = out / "compare" / comparison["chosen"]["run"]
    _stage("evaluate", final)
    if run.read_card(final).metrics.get("groups") != groups.digest():
        evaluate(final, data, groups)
    card = model_card.write(final, out / "audit" / AUDIT)
    _stage("serve", out / "models")
    version = _published(final, card, out / "models")
    document = {
        "data": data.name,
        "fingerprint": data.fingerprint(),
        "run": final.relative_to(out).as_posix(),
        "version": version.relative_to(out).as_posix(),
        "served": check(version, final, data, card),
    }
    page.write(document, comparison, card, out)
    write_json(out / EXPERIMENT, document)
    return document


def done(path: Path, data: DataSet) -> bool:
    """Whether a stage's result is there, and of these images."""
    try:
        return bool(json.loads(path.read_text(encoding="utf-8"))["fingerprint"] == data.fingerprint())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def known_groups(folder: Path, data: DataSet) -> Groups | None:
    """What an earlier audit in ``folder`` found, if it was of these images and patients."""
    try:
        return load(folder / GROUPS_FILE, data) if done(folder / AUDIT, data) else None
    except DataError:
        return None


def _stage(name: str, folder: Path) -> None:
    log.info("--- %s: %s", name, folder)


def _published(final: Path, card: ModelMetadata, models: Path) -> Path:
    """The last version in ``models``, if it is this model with this card, or else a new one."""
    versions = sorted(int(path.name) for path in (models / MODEL_NAME).glob("*") if path.name.isdigit())
    if versions:
        last = models / MODEL_NAME / str(versions[-1])
        with suppress(OSError, ValueError):  # not readable, or no card
            kept = ModelMetadata.from_json((last / METADATA_ASSET).read_text(encoding="utf-8"))
            if (kept.training, kept.metrics, kept.documentation) == (card.training, card.metrics, card.documentation):
                return last
    return convert(final / run.MODEL, models, versions[-1] + 1 if versions else 1)
