"""Runs that several modules look at: each is made once. A test that changes one takes a copy."""

from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from PIL import Image

from tests.training.scans import phantom
from training.data import DataSet, find
from training.data.groups import Groups, by_patient
from training.evaluate import evaluate
from training.train import run
from training.train.recipes import TWO_PHASE, Options, options

TINY = options(TWO_PHASE, "small", None, side=32, epochs=3, batch_size=8)


@pytest.fixture(scope="session")
def phantom_data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """72 training and 48 test images, two of each patient."""
    return find(phantom(tmp_path_factory.mktemp("data") / "phantom", training=36, testing=24))


@pytest.fixture(scope="session")
def tiny() -> Options:
    """Of ``trained_run``: the small network, three epochs."""
    return TINY


@pytest.fixture(scope="session")
def trained_run(phantom_data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run on ``phantom_data``, not evaluated."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    run.train(phantom_data, by_patient(phantom_data), TINY, folder)
    return folder


@pytest.fixture(scope="session")
def audited(phantom_data: DataSet) -> Groups:
    """As if an audit had found copies: of a training image in two test patients, and one between two more.

    Four test images belong together with a training image, and one is the copy of another test image.
    """
    alone = by_patient(phantom_data)
    groups, copies = dict(alone.groups), dict(alone.copies)

    def join(one: str, other: str) -> None:
        gone = groups[other]
        groups.update({file: groups[one] for file, number in groups.items() if number == gone})
        copies[other] = copies[one]

    original, test = phantom_data.training[0], phantom_data.testing
    join(original, test[0])
    join(original, test[2])
    join(test[12], test[14])
    return replace(alone, groups=groups, copies=copies, audited=True)


@pytest.fixture(scope="session")
def evaluated_run(
    trained_run: Path, phantom_data: DataSet, audited: Groups, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A copy of ``trained_run``, evaluated with the ``audited`` groups."""
    folder = Path(copytree(trained_run, tmp_path_factory.mktemp("evaluated") / "run"))
    evaluate(folder, phantom_data, audited)
    return folder


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """Two classes of squares that anything can tell apart, without a manifest; one name has a bar in it."""
    folder = tmp_path_factory.mktemp("squares") / "some images"
    rng = np.random.default_rng(0)
    for split, count in (("Training", 16), ("Testing", 6)):
        for level, name in ((40, "dark|black"), (200, "bright")):
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(level - 20, level + 20, (32, 32), np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{index}.png")
    return find(folder)


@pytest.fixture(scope="session")
def squares_run(squares: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on ``squares`` that makes no mistake, evaluated without an audit."""
    folder = tmp_path_factory.mktemp("squares-run") / "run"
    chosen = options(TWO_PHASE, "small", None, side=32, epochs=6, batch_size=4)
    run.train(squares, by_patient(squares), chosen, folder)
    evaluate(folder, squares, by_patient(squares))
    return folder
