"""Configurations, labels, and base paths that change."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from portable_model_server.errors import ServingError
from portable_model_server.serving.config import ModelConfig
from portable_model_server.serving.lifecycle import Retries
from portable_model_server.serving.manager import ModelManager
from portable_model_server.serving.version_policy import All
from portable_model_server.serving.versions import State
from serving_api.messages import ModelSpec
from tests.model_server.fake_engine import FakeLoader
from tests.processes import wait_until


def manager_of(loader: FakeLoader, labels_may_precede: bool = False) -> ModelManager:
    return ModelManager(
        loader, Retries(0, 0), poll_wait_s=0.02, labels_may_precede=labels_may_precede, on_change=lambda: None
    )


@pytest.fixture
def loader() -> FakeLoader:
    return FakeLoader()


@pytest.fixture
def manager(loader: FakeLoader) -> Iterator[ModelManager]:
    manager = manager_of(loader)
    yield manager
    manager.close(30)


def states(manager: ModelManager, name: str = "m") -> dict[int, State]:
    try:
        return {status.number: status.state for status in manager.statuses(name, None)}
    except ServingError:
        return {}


def reaches(manager: ModelManager, expected: dict[int, State], name: str = "m") -> None:
    wait_until(lambda: states(manager, name) == expected, f"{expected}, is {states(manager, name)}", timeout=10)


def test_an_emptied_base_path_unloads_and_a_vanished_one_does_not(
    manager: ModelManager, tmp_path: Path, loader: FakeLoader
) -> None:
    base, elsewhere = tmp_path / "base", tmp_path / "elsewhere"
    (base / "1").mkdir(parents=True)
    manager.configure([ModelConfig("m", base)])
    reaches(manager, {1: State.AVAILABLE})
    base.rename(elsewhere)
    attempts = len(loader.attempts)
    # A second model that loads proves that the base paths were polled meanwhile.
    (tmp_path / "other" / "1").mkdir(parents=True)
    manager.configure([ModelConfig("m", base), ModelConfig("other", tmp_path / "other")])
    reaches(manager, {1: State.AVAILABLE}, "other")
    assert states(manager) == {1: State.AVAILABLE}
    assert len(loader.attempts) == attempts + 1
    elsewhere.rename(base)
    shutil.rmtree(base / "1")
    reaches(manager, {1: State.END})


def test_a_new_version_is_loaded(manager: ModelManager, tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    manager.configure([ModelConfig("m", tmp_path)])
    reaches(manager, {1: State.AVAILABLE})
    (tmp_path / "2").mkdir()
    reaches(manager, {1: State.END, 2: State.AVAILABLE})


def test_a_model_that_is_no_longer_listed_unloads(manager: ModelManager, tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    manager.configure([ModelConfig("m", tmp_path)])
    reaches(manager, {1: State.AVAILABLE})
    manager.configure([])
    reaches(manager, {1: State.END})
    assert manager.all_available()
    manager.configure([ModelConfig("m", tmp_path)])
    reaches(manager, {1: State.AVAILABLE})


def test_failures_are_those_of_models_without_any_version(
    manager: ModelManager, tmp_path: Path, loader: FakeLoader
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    loader.broken.add("2")
    manager.configure([ModelConfig("m", tmp_path, All())])
    reaches(manager, {1: State.AVAILABLE, 2: State.END})
    assert manager.all_available()
    assert not manager.failures()


def test_a_model_whose_only_version_is_broken(manager: ModelManager, tmp_path: Path, loader: FakeLoader) -> None:
    (tmp_path / "1").mkdir()
    loader.broken.add("1")
    manager.configure([ModelConfig("m", tmp_path)])
    reaches(manager, {1: State.END})
    assert not manager.all_available()
    assert manager.failures()["m"].number == 1


def labelled(path: Path, **labels: int) -> list[ModelConfig]:
    return [ModelConfig("m", path, All(), labels)]


def held_version(manager: ModelManager, label: str) -> int:
    with manager.hold(ModelSpec(name="m", version_label=label)) as servable:
        return servable.version


def test_labels_name_available_versions(manager: ModelManager, tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    with pytest.raises(ServingError, match=r"FAILED_PRECONDITION.*version 1 of model m, which is not currently"):
        manager.configure(labelled(tmp_path, stable=1))
    assert not manager.knows("m")
    manager.configure(labelled(tmp_path))
    reaches(manager, {1: State.AVAILABLE, 2: State.AVAILABLE})
    manager.configure(labelled(tmp_path, stable=1, canary=2))
    assert (held_version(manager, "stable"), held_version(manager, "canary")) == (1, 2)
    with pytest.raises(ServingError, match="version 3 of model m"):
        manager.configure(labelled(tmp_path, stable=3))
    assert held_version(manager, "stable") == 1
    manager.configure(labelled(tmp_path, stable=2))
    assert held_version(manager, "stable") == 2
    with pytest.raises(ServingError, match="Unrecognized servable version label: canary"):
        held_version(manager, "canary")


def test_labels_may_come_first_if_allowed(tmp_path: Path, loader: FakeLoader) -> None:
    (tmp_path / "1").mkdir()
    manager = manager_of(loader, labels_may_precede=True)
    manager.configure(labelled(tmp_path, stable=1))
    reaches(manager, {1: State.AVAILABLE})
    assert held_version(manager, "stable") == 1
    with pytest.raises(ServingError, match="version 2 of model m"):
        manager.configure(labelled(tmp_path, stable=2))  # moving one still takes an available version
    manager.close(30)
