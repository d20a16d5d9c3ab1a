"""Which class is the one without tumour: tumours missed and the operating points of any tumour are counted against it.

Data sets spell it in many ways. Where none of the usual names is among the classes, the user names it once, with
``--healthy``, and the manifest and the run's metadata keep it.
"""

from collections.abc import Sequence

from brain_tumor.quality.healthy import usually_healthy
from training.data.errors import DataError


def healthy_class(class_names: Sequence[str], named: str | None = None) -> str | None:
    """The class without tumour.

    Args:
        class_names: The class names.
        named: The class that the user, a manifest or a run names; it goes before the usual names.

    Returns:
        Its name as it stands in ``class_names``, or None where no class has a usual name.

    Raises:
        DataError: There is no class ``named``, or several classes have a usual name.
    """
    if named is not None:
        if named not in class_names:
            raise DataError(f"there is no class {named} to be the one without tumour: name one of {_list(class_names)}")
        return named
    usual = usually_healthy(class_names)
    if len(usual) > 1:
        raise DataError(f"{_list(usual)} may all be the class without tumour: name it with --healthy")
    return usual[0] if usual else None


def not_known(class_names: Sequence[str]) -> str:
    """The sentence for a user who may know which class is the one without tumour."""
    return (
        f"none of the classes {_list(class_names)} is known as the one without tumour; if one of them is, name it with "
        "--healthy."
    )


def not_counted(class_names: Sequence[str]) -> str:
    """The sentence that a report has in place of the tumours missed where no class is known to be without tumour."""
    return f"Tumours missed were not counted: {not_known(class_names)}"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
