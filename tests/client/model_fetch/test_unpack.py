"""Archives are unpacked as data: nothing leads out of the folder, and nothing grows without bound."""

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from brain_tumor_client.errors import ModelUnusable
from brain_tumor_client.model_fetch.unpack import unpack
from tests.client.model_fetch.archives import FILES, packed, packed_members

MAX = 2**21

Unpack = Callable[[bytes], dict[str, bytes]]


@pytest.fixture
def unpacked(tmp_path: Path) -> Unpack:
    """A function that unpacks an archive, and gives the files."""

    def files_of(archive: bytes) -> dict[str, bytes]:
        file, folder = tmp_path / "archive", tmp_path / "outside" / "folder"
        file.write_bytes(archive)
        folder.mkdir(parents=True)
        try:
            unpack(file, folder, MAX)
        finally:
            assert sorted(path.name for path in folder.parent.iterdir()) == ["folder"]
            assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "outside"]
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    return files_of


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("top", ["", "./", "7/"])
def test_files_and_folders(unpacked: Unpack, mode: str, top: str) -> None:
    below = top.removeprefix("./")
    assert unpacked(packed(top=top, mode=mode)) == {below + name: content for name, content in FILES.items()}


def test_everyone_may_read_what_a_careful_umask_packed(tmp_path: Path) -> None:
    folder, info = member("a", tarfile.DIRTYPE), member("a/b")
    folder.mode, info.mode = 0o700, 0o4600
    (tmp_path / "archive").write_bytes(packed_members([(folder, b""), (info, b"x")]))
    (tmp_path / "folder").mkdir()
    before = os.umask(0o022)
    try:
        unpack(tmp_path / "archive", tmp_path / "folder", MAX)
    finally:
        os.umask(before)
    modes = [(tmp_path / "folder" / name).stat().st_mode & 0o7777 for name in ("a", "a/b")]
    assert modes == [0o755, 0o644]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([(member("../x"), b"x")], "lead out"),
        ([(member("a/../../x"), b"x")], "lead out"),
        ([(member("/etc/x"), b"x")], "lead out"),
        ([(member("a", tarfile.SYMTYPE, "/etc"), b""), (member("a/x"), b"x")], "links"),
        ([(member("a", tarfile.SYMTYPE, "b"), b"")], "links"),
        ([(member("x"), b"x"), (member("a", tarfile.LNKTYPE, "x"), b"")], "links"),
        ([(member("a", tarfile.CHRTYPE), b"")], "devices"),
        ([(member("a", tarfile.FIFOTYPE), b"")], "devices"),
        ([(member("a"), b"1"), (member("a"), b"2")], "twice"),
        ([(member("a"), b"1"), (member("a/b"), b"2")], "twice"),
        ([(member("a"), b"1"), (member("a/b/c"), b"2")], "twice"),
        ([(member("a"), b"1"), (member("a", tarfile.DIRTYPE), b"")], "twice"),
        ([(member("a"), bytes(MAX)), (member("b"), b"1")], "unpacks to more than"),
        ([(member("a" * 300_000 * 4), b"1")], "damaged"),  # a name that is read at once
    ],
    ids=lambda value: (
        value if isinstance(value, str) else "-".join(info.name[:9].replace("/", ":") for info, _ in value)
    ),
)
def test_what_is_refused(unpacked: Unpack, members, words: str) -> None:
    with pytest.raises(ModelUnusable, match=words):
        unpacked(packed_members(members))


def test_more_entries_than_a_model_has(unpacked: Unpack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brain_tumor_client.model_fetch.unpack._MAX_MEMBERS", 2)
    with pytest.raises(ModelUnusable, match="more than 2 entries"):
        unpacked(packed())


def test_a_file_that_claims_more_than_it_is(unpacked: Unpack) -> None:
    """A sparse file of a terabyte takes a kilobyte in the archive."""
    info = member("a", tarfile.GNUTYPE_SPARSE)
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"00000000000\0" * 2  # no data at 0
    header[483:495] = b"00000000100\0"  # and 64 bytes in all
    checksum = sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
    header[148:156] = b"%06o\0 " % checksum
    with pytest.raises(ModelUnusable, match="sparse"):
        unpacked(bytes(header) + bytes(1024))


@pytest.mark.parametrize(
    "archive",
    [
        b"",
        b"<html>Not found</html>",
        b"PK\x03\x04" + bytes(2000),
        gzip.compress(b"words" * 1000),
        packed()[:500_000],
        packed(mode="w")[:500_000],
        b"\x1f\x8b" + bytes(600),
    ],
    ids=["empty", "html", "zip", "words", "cut", "cut-tar", "no-gzip"],
)
def test_what_is_no_archive(unpacked: Unpack, archive: bytes) -> None:
    with pytest.raises(ModelUnusable, match="damaged"):
        assert unpacked(archive) == FILES  # an empty archive has no files


def test_headers_nested_without_end(unpacked: Unpack) -> None:
    """tarfile reads a header behind a header by a call within a call."""
    extended = member("x", tarfile.XHDTYPE).tobuf(tarfile.PAX_FORMAT)
    with pytest.raises(ModelUnusable, match="damaged"):
        unpacked(io.BytesIO(extended * 5000).getvalue())
