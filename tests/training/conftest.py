"""Data sets and runs that several modules use: each is made once. A test that changes one takes a copy."""

from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from PIL import Image

from tests.training.configurations import configuration
from tests.training.scans import phantom
from training.card import model_card
from training.data.data_set import DataSet, find
from training.data.groups import Groups, by_patient
from training.evaluate.evaluation import evaluate
from training.serving import convert
from training.train import run
from training.train.options import Configuration

TINY = configuration(epochs=3, batch_size=8)


@pytest.fixture(scope="session")
def phantom_data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """72 training and 48 test images, two of each patient."""
    return find(phantom(tmp_path_factory.mktemp("data") / "phantom", training=36, testing=24))


@pytest.fixture(scope="session")
def tiny() -> Configuration:
    """The configuration of ``trained_run``: the small network, three epochs."""
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

    def join(first: str, second: str) -> None:
        replaced = groups[second]
        groups.update({file: groups[first] for file, number in groups.items() if number == replaced})
        copies[second] = copies[first]

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
def documented_run(evaluated_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of ``evaluated_run`` with a model card."""
    folder = Path(copytree(evaluated_run, tmp_path_factory.mktemp("documented") / "run"))
    model_card.write(folder, None)
    return folder


@pytest.fixture(scope="session")
def converted(documented_run: Path) -> Path:
    """The version folder of ``documented_run``, converted."""
    return convert(documented_run / run.MODEL, documented_run / "models")


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
    run.train(squares, by_patient(squares), configuration(epochs=6, batch_size=4), folder)
    evaluate(folder, squares, by_patient(squares))
    return folder
