import asyncio
import logging
import os
import threading
import tomllib
from pathlib import Path

import pytest

from gateway.edge.key_file import MAX_BYTES, KeyFile
from gateway.keys import Caller, KeysError, digest_of


def table(*keys: str) -> str:
    return f"[one]\nsha256 = {[digest_of(key) for key in keys]}\n"


@pytest.fixture
def path(tmp_path, caplog) -> Path:
    caplog.set_level(logging.INFO)
    path = tmp_path / "keys.toml"
    path.write_text(table("a"))
    return path


@pytest.fixture
def file(path) -> KeyFile:
    return KeyFile(path)


def replace(path: Path, content: str | bytes) -> None:
    """Another file comes in the place of this one, as Kubernetes does it."""
    new = path.with_name("new")
    new.write_bytes(content if isinstance(content, bytes) else content.encode())
    new.replace(path)


def told(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def test_a_change_counts_from_the_next_look_on(path, file):
    replace(path, table("a", "b"))
    assert file.find("b") is None
    file.look()
    assert file.find("a") == file.find("b") == Caller("one")
    replace(path, table("b"))
    file.look()
    assert (file.find("a"), file.find("b")) == (None, Caller("one"))
    callers = file.callers
    file.look()
    assert file.callers is callers


def test_a_change_that_leaves_time_and_size_is_seen(path, file):
    before = path.stat()
    path.write_text(table("b"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    file.look()
    assert file.find("a") is None


def test_an_empty_file_takes_all_keys_back(path, file):
    replace(path, "")
    file.look()
    assert file.find("a") is None


def test_the_same_file_is_not_read_anew(path, file, caplog):
    callers = file.callers
    replace(path, table("a"))
    file.look()
    assert file.callers is callers
    assert caplog.records == []


def vanish(path: Path) -> None:
    path.unlink()


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_too_large(path: Path) -> None:
    replace(path, b"#" * (MAX_BYTES + 1))


def lose_its_form(path: Path) -> None:
    replace(path, "[" * 5000)


@pytest.mark.parametrize("go_wrong", [vanish, become_a_folder, become_too_large, lose_its_form])
def test_what_cannot_be_used_changes_nothing_and_is_tried_again(path, file, caplog, go_wrong):
    go_wrong(path)
    for _ in range(3):
        file.look()
        assert file.find("a") == Caller("one")
    (message,) = told(caplog, logging.ERROR)
    assert message.startswith(f"the keys stay as they were, for {path} cannot be used: ")
    assert told(caplog, logging.INFO) == []
    if path.is_dir():
        path.rmdir()
    replace(path, table("b"))
    file.look()
    assert (file.find("a"), file.find("b")) == (None, Caller("one"))
    assert told(caplog, logging.INFO) == ["the keys were read again: 1", "the file of keys can be used again"]
    go_wrong(path)
    file.look()
    assert len(told(caplog, logging.ERROR)) == 2
    assert digest_of("a") not in caplog.text


def test_another_fault_is_told_too(path, file, caplog):
    path.write_text("[x]\nrate = 0")
    file.look()
    path.write_text("[x]\nshare = 0")
    file.look()
    vanish(path)
    file.look()
    assert ["rate" in text for text in told(caplog, logging.ERROR)] == [True, False, False]
    assert "share" in told(caplog, logging.ERROR)[1]
    assert "No such file" in told(caplog, logging.ERROR)[2]


def test_the_first_file_that_comes_back_unchanged_is_well_again(path, file, caplog):
    vanish(path)
    file.look()
    replace(path, table("a"))
    file.look()
    assert told(caplog, logging.INFO) == ["the file of keys can be used again"]


@pytest.mark.parametrize("go_wrong", [vanish, become_a_folder, become_too_large, lose_its_form])
def test_a_start_with_a_bad_file(path, go_wrong):
    go_wrong(path)
    with pytest.raises(KeysError) as error:
        KeyFile(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_a_large_file_at_its_limit(path):
    path.write_bytes((content := table("a").encode()) + b"#" * (MAX_BYTES - len(content)))
    assert KeyFile(path).find("a") == Caller("one")


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def test_the_event_loop_reads_no_file(path, file, caplog):
    async def change() -> None:
        file.watch(0.01)
        replace(path, table("b"))
        await until(lambda: file.find("b"))
        file.close()

    asyncio.run(change())
    (record,) = caplog.records
    assert record.thread != threading.get_ident()


def test_an_unexpected_error_ends_no_watch(path, file, caplog, monkeypatch):
    def fail(text: str) -> None:
        raise MemoryError

    async def change() -> None:
        file.watch(0.01)
        with monkeypatch.context() as patch:
            patch.setattr(tomllib, "loads", fail)
            replace(path, table("b"))
            await until(lambda: "MemoryError" in caplog.text)
        await until(lambda: file.find("b"))
        file.close()

    asyncio.run(change())
    assert file.find("a") is None
    assert len(told(caplog, logging.ERROR)) == 1


def test_one_look_at_a_time_and_none_after_the_end(file, monkeypatch):
    looking, most, looks = 0, 0, 0
    free = threading.Event()

    def look() -> None:
        nonlocal looking, most, looks
        looking, looks = looking + 1, looks + 1
        most = max(most, looking)
        assert free.wait(10)
        looking -= 1

    async def watch() -> None:
        monkeypatch.setattr(file, "look", look)
        file.watch(0)
        await until(lambda: looking)
        for _ in range(100):
            await asyncio.sleep(0)
        free.set()
        await until(lambda: looks > 5)
        file.close()
        await until(lambda: len(asyncio.all_tasks()) == 1)
        await until(lambda: not looking)
        after = looks
        for _ in range(100):
            await asyncio.sleep(0)
        assert looks == after

    asyncio.run(watch())
    assert most == 1
