"""Version folders and policies."""

from pathlib import Path

import pytest

from portable_model_server.serving.version_policy import All, Latest, Specific, scan, select, why_none


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
    folders = {number: Path(str(number)) for number in (1, 3, 2, 10)}
    assert set(select(Latest(), folders)) == {10}
    assert set(select(Latest(3), folders)) == {10, 3, 2}
    assert set(select(Latest(9), folders)) == {1, 2, 3, 10}
    assert set(select(All(), folders)) == {1, 2, 3, 10}
    assert set(select(Specific(frozenset({2, 4})), folders)) == {2}
    assert select(Latest(), {}) == {}


@pytest.mark.parametrize(
    ("files", "base", "words"),
    [
        ([], "m", "it holds no folder named by a number, such as {base}/1"),
        ([".1-x/saved_model.pb", "notes.txt", "a/b"], "m", "it holds no folder named by a number, such as {base}/1"),
        (["v1/saved_model.pb"], "m", "v1 is no number; name that folder by its version, such as {base}/1"),
        (["saved_model.pb", "v1/saved_model.pb"], "m", "it holds saved_model.pb itself; move what it holds into"),
        (["saved_model.pb"], "7", "it is a version's folder itself; name the folder above it, {parent}"),
        (["10/x", "2/x"], "m", "it holds the versions 2, 10, and the policy names others"),
    ],
)
def test_why_there_is_no_version(tmp_path: Path, files: list[str], base: str, words: str) -> None:
    path = tmp_path / base
    path.mkdir()
    for name in files:
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).touch()
    assert why_none(path, scan(path)).startswith(words.format(base=path, parent=tmp_path))
