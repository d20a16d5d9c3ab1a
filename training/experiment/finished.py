"""Which stages of an experiment an earlier call has finished."""

import json
from pathlib import Path

from training.audit.audit import AUDIT
from training.data.data_set import DataSet
from training.data.errors import DataError
from training.data.groups import GROUPS_FILE, Groups, load


def belongs_to(path: Path, data_set: DataSet) -> bool:
    """Whether a stage's result exists and was made from these images."""
    try:
        return bool(json.loads(path.read_text(encoding="utf-8"))["fingerprint"] == data_set.fingerprint())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def audited_groups(folder: Path, data_set: DataSet) -> Groups | None:
    """The groups that an earlier audit in ``folder`` found, if it was made with these images and patients."""
    try:
        return load(folder / GROUPS_FILE, data_set) if belongs_to(folder / AUDIT, data_set) else None
    except DataError:
        return None
