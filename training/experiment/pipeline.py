"""The stages from images to a served model, in one folder; a finished stage is not done again.

OUT/explore, OUT/audit, OUT/compare (with a run for each network and seed), OUT/models (what is served) and, at last,
OUT/experiment.json and OUT/report.html, which say what came out and where it lies.
"""

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from brain_tumor.atomic import write_json
from brain_tumor.contract import METADATA_ASSET, MODEL_NAME
from brain_tumor.metadata import ModelMetadata
from brain_tumor.quality.healthy import HEALTHY_CLASS
from training.audit.audit import AUDIT, audit
from training.card import model_card
from training.compare.comparison import compare
from training.compare.plan import Plan
from training.data.data_set import DataSet
from training.data.groups import Groups
from training.evaluate.evaluation import evaluate, healthy_of
from training.experiment import report
from training.experiment.finished import audited_groups, belongs_to
from training.experiment.served import check
from training.explore.exploration import SUMMARY, explore
from training.serving import convert
from training.train import run

log = logging.getLogger(__name__)

EXPERIMENT = "experiment.json"
_SEED = 0  # of the images that the exploration shows


def experiment(data_set: DataSet, plan: Plan, out: Path) -> dict[str, Any]:
    """Explore, audit, compare, evaluate the selected network, write its model card, convert it, and serve it.

    Args:
        data_set: The images.
        plan: What is compared.
        out: The experiment's folder.

    Returns:
        The content of ``experiment.json``.

    Raises:
        TrainingError: A stage failed; the message says why.
    """
    _log_stage("explore", out / "explore")
    if not belongs_to(out / "explore" / SUMMARY, data_set):
        explore(data_set, out / "explore", _SEED)
    _log_stage("audit", out / "audit")
    groups = audited_groups(out / "audit", data_set) or audit(data_set, out / "audit")
    _log_stage("compare", out / "compare")
    comparison = compare(data_set, groups, plan, out / "compare")
    selected = out / "compare" / comparison["selected"]["run"]
    _log_stage("evaluate", selected)
    if not is_evaluated(run.read_metadata(selected), data_set, groups):
        evaluate(selected, data_set, groups)
    metadata = model_card.write(selected, out / "audit" / AUDIT)
    _log_stage("serve", out / "models")
    version = _converted(selected, metadata, out / "models")
    document = {
        "data": data_set.name,
        "fingerprint": data_set.fingerprint(),
        "run": selected.relative_to(out).as_posix(),
        "version": version.relative_to(out).as_posix(),
        "served": check(version, selected, data_set, metadata),
    }
    report.write(document, comparison, metadata, out)
    write_json(out / EXPERIMENT, document)
    return document


def is_evaluated(metadata: ModelMetadata, data_set: DataSet, groups: Groups) -> bool:
    """Whether a run was evaluated with these groups, and with the class without tumour that is named now."""
    same_healthy = metadata.training.get(HEALTHY_CLASS) == healthy_of(metadata, data_set)
    return same_healthy and metadata.metrics.get("groups") == groups.digest()


def _log_stage(name: str, folder: Path) -> None:
    log.info("--- %s: %s", name, folder)


def _converted(selected: Path, metadata: ModelMetadata, models: Path) -> Path:
    """The last version in ``models`` if it is this model with this metadata, else a new one."""
    versions = sorted(int(path.name) for path in (models / MODEL_NAME).glob("*") if path.name.isdigit())
    if versions:
        last = models / MODEL_NAME / str(versions[-1])
        with suppress(OSError, ValueError):  # its metadata cannot be read
            kept = ModelMetadata.from_json((last / METADATA_ASSET).read_text(encoding="utf-8"))
            if _provenance(kept) == _provenance(metadata):
                return last
    return convert(selected / run.MODEL, models, versions[-1] + 1 if versions else 1)


def _provenance(metadata: ModelMetadata) -> tuple[Any, ...]:
    return metadata.training, metadata.metrics, metadata.documentation
