"""The usual names of the class without tumour: tumours missed are counted against it."""

import re
from collections.abc import Iterable

HEALTHY_CLASS = "healthy_class"  # its key in the ``training`` of a model's metadata
# As ``_letters`` gives them: in small letters, and nothing but letters.
_NAMES = frozenset({"notumor", "notumour", "nontumor", "nontumour", "no", "none", "healthy", "normal", "negative"})


def usually_healthy(class_names: Iterable[str]) -> list[str]:
    """Those of the class names that data sets give the class without tumour."""
    return [name for name in class_names if _letters(name) in _NAMES]


def _letters(name: str) -> str:
    return re.sub(r"[\W\d_]", "", name.casefold())
