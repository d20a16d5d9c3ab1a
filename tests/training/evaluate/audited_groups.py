"""Groups as an audit might have found them."""

from training.data.data_set import DataSet
from training.data.groups import Groups, by_patient


def audited_groups(data: DataSet, groups: dict[str, int], copies: dict[str, int]) -> Groups:
    alone = by_patient(data)
    return Groups(alone.groups | groups, alone.copies | copies, audited=True)
