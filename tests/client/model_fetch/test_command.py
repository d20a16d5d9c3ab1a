"""``brain-tumor fetch-model`` as an init container runs it: ended, started again, and in time."""

import shutil
from pathlib import Path

import pytest

from brain_tumor_client.command.exit_code import ExitCode
from portable_model_server.engines.base import Threads
from portable_model_server.engines.openvino import OpenVINOEngine
from tests.client.command import Command
from tests.client.model_fetch.archive_server import ArchiveServer
from tests.client.model_fetch.archives import packed, sha256
from tests.processes import SHIPPED_MODEL, wait_until


def arguments(server: ArchiveServer, *more: str) -> list[str]:
    return ["fetch-model", f"--sha256={sha256(server.content)}", "--out=models/brain-tumor/7", *more]


def test_the_shipped_model(server: ArchiveServer, command: Command, tmp_path: Path) -> None:
    """Packed as the documents say."""
    packed_model = shutil.make_archive(str(tmp_path / "7"), "gztar", SHIPPED_MODEL, "1")
    server.content = Path(packed_model).read_bytes()
    done = command.run(*arguments(server), MODEL_URL=server.url)
    assert done.returncode == 0, done.stderr
    assert done.stderr == (f"brain-tumor: Fetching {server.url}\nbrain-tumor: The model is at models/brain-tumor/7\n")
    assert [path.name for path in (tmp_path / "models" / "brain-tumor").iterdir()] == ["7"]
    OpenVINOEngine(Threads(1)).load(tmp_path / "models" / "brain-tumor" / "7")


def test_a_version_is_fetched_once_and_never_replaced(server: ArchiveServer, command: Command, tmp_path: Path) -> None:
    first = arguments(server, server.url)
    assert command.run(*first).returncode == 0
    (tmp_path / "models" / "brain-tumor" / ".7.download").write_bytes(
        server.content
    )  # its process was killed just then
    assert "there already" in command.run(*first).stderr
    assert [path.name for path in (tmp_path / "models" / "brain-tumor").iterdir()] == ["7"]
    assert len(server.requests) == 1
    server.content = packed({"saved_model.pb": b"another graph"})
    done = command.run(*arguments(server, server.url))
    assert done.returncode == ExitCode.USAGE
    assert "another number" in done.stderr
    assert (tmp_path / "models" / "brain-tumor" / "7" / "saved_model.pb").read_bytes() == b"a graph"


def test_a_pod_that_ends_leaves_what_has_come_to_the_next_container(server: ArchiveServer, command: Command) -> None:
    server.cuts, server.holds = [300_000], True
    partial = command.folder / "models" / "brain-tumor" / ".7.download"
    with command.start(*arguments(server, server.url)) as first:
        assert server.held.wait(60)
        wait_until(lambda: partial.exists() and partial.stat().st_size > 200_000, "most of what was sent")
        first.terminate()
        assert first.wait(60) == ExitCode.TERMINATED
    assert not (command.folder / "models" / "brain-tumor" / "7").exists()
    had = partial.stat().st_size
    assert command.run(*arguments(server, server.url)).returncode == 0
    assert server.asked("Range") == [None, f"bytes={had}-"]


def test_everything_together_has_a_time_limit(server: ArchiveServer, command: Command) -> None:
    server.cuts, server.holds = [300_000], True
    done = command.run(*arguments(server, server.url, "--timeout=0.5"))
    assert done.returncode == ExitCode.NOT_REACHABLE
    assert "no model after 0.5 seconds" in done.stderr


def test_what_a_killed_container_left_is_cleared(server: ArchiveServer, command: Command) -> None:
    folder = command.folder / "models" / "brain-tumor"
    (folder / ".7.unpacking" / "assets").mkdir(parents=True)
    (folder / ".7.unpacking" / "saved_model.pb").write_bytes(b"half")
    (folder / ".7.download").write_bytes(b"without its ETag")
    assert command.run(*arguments(server, server.url)).returncode == 0
    assert [path.name for path in folder.iterdir()] == ["7"]
    assert (folder / "7" / "saved_model.pb").read_bytes() == b"a graph"


def test_exit_codes(server: ArchiveServer, command: Command) -> None:
    for status, code in ((404, ExitCode.USAGE), (403, ExitCode.KEY_REFUSED)):
        server.statuses = [status]
        assert command.run(*arguments(server, server.url)).returncode == code
    shutil.rmtree(command.folder / "models")
    (command.folder / "models").write_text("a file")
    done = command.run(*arguments(server, server.url))
    assert (done.returncode, "cannot be written" in done.stderr) == (ExitCode.NOT_WRITTEN, True)
    assert "Traceback" not in done.stderr


def test_an_archive_without_a_version(server: ArchiveServer, command: Command) -> None:
    for files in ({"variables/x": b"x"}, {"1/saved_model.pb": b"1", "2/saved_model.pb": b"2"}):
        server.content = packed(files)
        server.etag = f'"{sha256(server.content)}"'
        done = command.run(*arguments(server, server.url))
        assert done.returncode == ExitCode.USAGE
        assert "Pack one version folder" in done.stderr


@pytest.mark.parametrize(
    ("words", "means"),
    [
        (["--sha256=$(MODEL_SHA256)", "--out=7"], "64 hexadecimal digits"),
        ([f"--sha256={'0' * 64}", "--out=$(MODEL_VERSION)"], "versions by number"),
        ([f"--sha256={'0' * 64}", "--out=models/latest"], "versions by number"),
        ([f"--sha256={'0' * 64}", "--out=models/07"], "versions by number"),
        ([f"--sha256={'0' * 64}", "--out=7", "--timeout=0"], "must be a number"),
        ([f"--sha256={'0' * 64}", "--out=7", "ftp://host/7.tar"], "https://host"),
        ([f"--sha256={'0' * 64}", "--out=7", "gs://bucket"], "gs://bucket/"),
        ([f"--sha256={'0' * 64}", "--out=7", "s3://bucket"], "s3://bucket/"),
        ([f"--sha256={'0' * 64}", "--out=7", "https://me:hush@host/7.tar"], "leave the password out"),
        ([f"--sha256={'0' * 64}", "--out=7", ""], "https://host"),
    ],
)
def test_wrong_arguments(command: Command, words: list[str], means: str) -> None:
    given = [] if any("://" in word for word in words) or "" in words else ["https://model.example/7.tar"]
    done = command.run("fetch-model", *words, *given)
    assert done.returncode == ExitCode.USAGE
    assert means in done.stderr
    assert "hush" not in done.stderr
