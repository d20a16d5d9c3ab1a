"""The order in which versions load, drain and unload."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from portable_model_server.engines.base import LoadedModel
from portable_model_server.errors import ServingError, not_found
from portable_model_server.serving import lifecycle
from portable_model_server.serving.lifecycle import Retries, ServedModel
from portable_model_server.serving.versions import State
from tests.model_server.fake_engine import FakeLoader, FakeModel
from tests.processes import wait_until


def paths(*numbers: int) -> dict[int, Path]:
    return {number: Path(str(number)) for number in numbers}


@pytest.fixture
def loader() -> FakeLoader:
    return FakeLoader()


@pytest.fixture
def model(loader: FakeLoader) -> Iterator[ServedModel]:
    model = ServedModel("m", loader, Retries(0, 0), lambda: None)
    yield model
    for event in loader.held.values():
        event.set()
    model.close(30)


def states(model: ServedModel) -> dict[int, State]:
    return {status.number: status.state for status in model.statuses()}


def reaches(model: ServedModel, expected: dict[int, State]) -> None:
    wait_until(lambda: states(model) == expected, f"{expected}, is {states(model)}", timeout=10)


def test_the_highest_version_loads_first(model: ServedModel, loader: FakeLoader) -> None:
    loader.held["9"] = threading.Event()
    model.set_desired_versions(paths(9))
    reaches(model, {9: State.LOADING})
    model.set_desired_versions(paths(1, 3, 2, 9))
    assert states(model)[3] is State.START
    loader.held["9"].set()
    reaches(model, dict.fromkeys((9, 3, 2, 1), State.AVAILABLE))
    assert loader.attempts == ["9", "3", "2", "1"]
    assert list(states(model)) == [9, 3, 2, 1]


def test_the_old_version_serves_until_the_new_one_does(model: ServedModel, loader: FakeLoader) -> None:
    model.set_desired_versions(paths(1))
    reaches(model, {1: State.AVAILABLE})
    loader.held["2"] = threading.Event()
    model.set_desired_versions(paths(2))
    reaches(model, {1: State.AVAILABLE, 2: State.LOADING})
    with model.hold(None) as servable:
        assert servable.version == 1
    loader.held["2"].set()
    reaches(model, {1: State.END, 2: State.AVAILABLE})
    assert loader.models["1"].closed.is_set()


def test_a_call_under_way_keeps_its_version(model: ServedModel, loader: FakeLoader) -> None:
    model.set_desired_versions(paths(1))
    reaches(model, {1: State.AVAILABLE})
    with model.hold(1) as servable:
        model.set_desired_versions(paths(2))
        reaches(model, {1: State.UNLOADING, 2: State.AVAILABLE})
        assert not servable.model.closed.is_set()
        with (
            pytest.raises(ServingError, match=r"NOT_FOUND: Servable not found for request: Specific\(m, 1\)"),
            model.hold(1),
        ):
            pass
        with model.hold(None) as newer:
            assert newer.version == 2
    reaches(model, {1: State.END, 2: State.AVAILABLE})


def test_a_version_closes_only_after_the_last_of_several_calls(model: ServedModel, loader: FakeLoader) -> None:
    """So an engine need not count calls: none runs when its model is closed, and none comes after."""
    model.set_desired_versions(paths(1))
    reaches(model, {1: State.AVAILABLE})
    closed = loader.models["1"].closed
    with ExitStack() as calls:
        with model.hold(1):
            calls.enter_context(model.hold(1))
            model.set_desired_versions({})
            reaches(model, {1: State.UNLOADING})
        assert not closed.wait(0.1)
        with pytest.raises(ServingError, match="NOT_FOUND"):
            calls.enter_context(model.hold(None))
    assert closed.wait(10)
    reaches(model, {1: State.END})


def test_a_broken_new_version_leaves_the_old_one(model: ServedModel, loader: FakeLoader) -> None:
    model.set_desired_versions(paths(1))
    reaches(model, {1: State.AVAILABLE})
    loader.broken.add("2")
    model.set_desired_versions(paths(2))
    reaches(model, {1: State.AVAILABLE, 2: State.END})
    status = model.statuses()[0]
    assert status.error is not None
    assert status.error.message == "2 is broken"


def test_a_failed_version_is_tried_again_only_after_it_was_gone(model: ServedModel, loader: FakeLoader) -> None:
    loader.broken.add("1")
    model.set_desired_versions(paths(1))
    reaches(model, {1: State.END})
    loader.broken.clear()
    model.set_desired_versions(paths(1))
    model.set_desired_versions({})
    assert loader.attempts == ["1"]
    model.set_desired_versions(paths(1))
    reaches(model, {1: State.AVAILABLE})
    assert model.statuses()[0].error is None


def test_a_failed_version_is_tried_again_when_its_folder_has_changed(
    model: ServedModel, loader: FakeLoader, tmp_path: Path
) -> None:
    """A copy that goes on is left alone: its folder must be the same at two looks."""
    folders = {1: tmp_path}
    loader.broken.add(tmp_path.name)
    model.set_desired_versions(folders)
    reaches(model, {1: State.END})
    loader.broken.clear()
    for size in range(1, 4):
        (tmp_path / "saved_model.pb").write_bytes(b"x" * size)
        model.set_desired_versions(folders)
    assert states(model) == {1: State.END}
    assert len(loader.attempts) == 1
    model.set_desired_versions(folders)
    reaches(model, {1: State.AVAILABLE})
    assert len(loader.attempts) == 2


def test_waiting_for_a_retry_ends_when_the_folder_has_changed(loader: FakeLoader, tmp_path: Path) -> None:
    loader.broken.add(tmp_path.name)
    model = ServedModel("m", loader, Retries(1, 3600), lambda: None)
    model.set_desired_versions({1: tmp_path})
    wait_until(lambda: len(loader.attempts) == 1, "first attempt", timeout=10)
    # Two changes, of which each starts a try: with the same content there would be one retry.
    for size in (1, 2):
        (tmp_path / "saved_model.pb").write_bytes(b"x" * size)
        model.set_desired_versions({1: tmp_path})
        model.set_desired_versions({1: tmp_path})
        wait_until(lambda: len(loader.attempts) == 1 + size, f"attempt {1 + size}", timeout=10)  # noqa: B023
    loader.broken.clear()
    (tmp_path / "saved_model.pb").write_bytes(b"whole")
    model.set_desired_versions({1: tmp_path})
    model.set_desired_versions({1: tmp_path})
    reaches(model, {1: State.AVAILABLE})
    model.close(30)


def test_retries_count_for_a_folder_that_stays_the_same(tmp_path: Path) -> None:
    """One that changes during each of the first five tries gets a try and two retries after that."""
    attempts: list[Path] = []

    def load(path: Path) -> LoadedModel:
        attempts.append(path)
        if len(attempts) <= 5:
            (path / "saved_model.pb").write_bytes(b"x" * len(attempts))
        raise not_found("half")

    model = ServedModel("m", load, Retries(2, 0), lambda: None)
    model.set_desired_versions({1: tmp_path})
    reaches(model, {1: State.END})
    assert len(attempts) == 8
    model.close(30)


@pytest.mark.parametrize(("changing", "loads"), [(0, 1), (1, 2), (2, 3), (9, 3)])
def test_a_folder_that_changes_while_it_is_loaded(tmp_path: Path, changing: int, loads: int) -> None:
    """The load is not trusted, and comes again, but not for ever."""
    models: list[FakeModel] = []

    def load(path: Path) -> LoadedModel:
        models.append(FakeModel(path))
        if len(models) <= changing:
            (path / "variables.data").write_bytes(b"x" * len(models))
        return models[-1]

    model = ServedModel("m", load, Retries(2, 0), lambda: None)
    model.set_desired_versions({1: tmp_path})
    reaches(model, {1: State.AVAILABLE})
    assert [used.closed.is_set() for used in models] == [True] * (loads - 1) + [False]
    model.close(30)


def test_a_folder_in_which_something_is_written_all_the_time(tmp_path: Path) -> None:
    """A version that cannot be loaded is given up in the end, since others wait for the thread."""
    tries = 0

    def load(path: Path) -> LoadedModel:
        nonlocal tries
        tries += 1
        (path / "log").write_bytes(b"x" * tries)
        raise not_found("broken")

    model = ServedModel("m", load, Retries(1, 0), lambda: None)
    model.set_desired_versions({1: tmp_path})
    reaches(model, {1: State.END})
    assert tries == lifecycle._MOST_CHANGES + 2
    model.close(30)


def test_a_model_that_does_not_close_well(loader: FakeLoader) -> None:
    model = ServedModel("m", loader, Retries(0, 0), lambda: None)
    model.set_desired_versions(paths(1))
    reaches(model, {1: State.AVAILABLE})

    def broken() -> None:
        raise RuntimeError("broken")

    loader.models["1"].close = broken  # type: ignore[method-assign]
    model.set_desired_versions(paths(2))
    reaches(model, {1: State.END, 2: State.AVAILABLE})
    model.close(30)


def test_retries(loader: FakeLoader) -> None:
    loader.broken.add("1")
    model = ServedModel("m", loader, Retries(2, 0), lambda: None)
    model.set_desired_versions(paths(1))
    reaches(model, {1: State.END})
    assert loader.attempts == ["1"] * 3
    model.close(30)


def test_waiting_for_a_retry_ends_when_the_version_goes(loader: FakeLoader) -> None:
    loader.broken.add("1")
    model = ServedModel("m", loader, Retries(1, 3600), lambda: None)
    model.set_desired_versions(paths(1))
    wait_until(lambda: loader.attempts == ["1"], "first attempt", timeout=10)
    model.set_desired_versions(paths(2))
    reaches(model, {1: State.END, 2: State.AVAILABLE})
    model.close(30)


def test_no_desired_versions_unload_all(model: ServedModel, loader: FakeLoader) -> None:
    model.set_desired_versions(paths(1, 2))
    reaches(model, {1: State.AVAILABLE, 2: State.AVAILABLE})
    model.set_desired_versions({})
    reaches(model, {1: State.END, 2: State.END})
    with pytest.raises(ServingError, match=r"Latest\(m\)"), model.hold(None):
        pass


def test_a_version_that_comes_back_while_it_drains(model: ServedModel, loader: FakeLoader) -> None:
    model.set_desired_versions(paths(1))
    reaches(model, {1: State.AVAILABLE})
    with model.hold(1):
        model.set_desired_versions({})
        reaches(model, {1: State.UNLOADING})
        model.set_desired_versions(paths(1))
    reaches(model, {1: State.AVAILABLE})
    assert loader.attempts == ["1", "1"]


def test_changes_are_reported(loader: FakeLoader) -> None:
    changed = threading.Event()
    model = ServedModel("m", loader, Retries(0, 0), changed.set)
    model.set_desired_versions(paths(1))
    assert changed.wait(10)
    reaches(model, {1: State.AVAILABLE})
    model.close(30)


def test_closing_unloads(loader: FakeLoader) -> None:
    model = ServedModel("m", loader, Retries(0, 0), lambda: None)
    model.set_desired_versions(paths(1))
    reaches(model, {1: State.AVAILABLE})
    model.close(30)
    assert states(model) == {1: State.END}
    assert loader.models["1"].closed.is_set()


def test_a_load_that_breaks_unexpectedly() -> None:
    def load(path: Path) -> object:
        raise RuntimeError("secret")

    model = ServedModel("m", load, Retries(0, 0), lambda: None)
    model.set_desired_versions(paths(1))
    reaches(model, {1: State.END})
    error = model.statuses()[0].error
    assert error is not None
    assert "secret" not in error.message
    model.close(30)
