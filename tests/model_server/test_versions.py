"""Version folders and policies."""

from pathlib import Path

import pytest

from portable_model_server.versions import All, Latest, Specific, choose, scan


def test_only_folders_named_by_a_number(tmp_path: Path) -> None:
    for name in ("1", "0002", "10", "-3", "v4", "5a", "1_1", ".6", "99999999999999999999", "١"):  # noqa: RUF001
        (tmp_path / name).mkdir()
    (tmp_path / "7").write_text("a file")
    assert {number: path.name for number, path in scan(tmp_path).items()} == {1: "1", 2: "0002", 10: "10", -3: "-3"}


def test_two_folders_of_one_version(tmp_path: Path) -> None:
    for name in ("1", "001"):
        (tmp_path / name).mkdir()
    assert scan(tmp_path) == {1: tmp_path / "1"}


def test_a_base_path_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        scan(tmp_path / "none")


def test_policies() -> None:
    found = {number: Path(str(number)) for number in (1, 3, 2, 10)}
    assert set(choose(Latest(), found)) == {10}
    assert set(choose(Latest(3), found)) == {10, 3, 2}
    assert set(choose(Latest(9), found)) == {1, 2, 3, 10}
    assert set(choose(All(), found)) == {1, 2, 3, 10}
    assert set(choose(Specific(frozenset({2, 4})), found)) == {2}
    assert choose(Latest(), {}) == {}
