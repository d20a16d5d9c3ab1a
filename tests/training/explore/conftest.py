"""A data set with a shortcut that is known, and its exploration."""

from pathlib import Path

import pytest
from PIL import Image

from tests.training.explore.images import framed, grey, write
from training.data.data_set import find
from training.explore.exploration import explore


@pytest.fixture(scope="module")
def frames(tmp_path_factory) -> Path:
    """20 plain images of three sizes, and 20 of one size, of which all but two have a white frame."""
    plain = [Image.fromarray(grey(i, width=(30, 50, 50, 70)[i % 4])) for i in range(20)]
    white = [Image.fromarray(grey(i)) if i in (100, 119) else framed(grey(i)) for i in range(100, 120)]
    return write(tmp_path_factory.mktemp("frames"), {"plain": plain, "white": white})


@pytest.fixture(scope="module")
def explored(frames: Path, tmp_path_factory) -> tuple[dict, Path]:
    """The frames' summary, and the folder of the report."""
    out = tmp_path_factory.mktemp("out") / "new" / "report"
    return explore(find(frames), out, seed=1), out
