"""The real command against a Kaggle on loopback: what it fetches, and its messages when it cannot."""

import json
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest

from tests.processes import ROOT, free_port, listens, wait_until
from tests.training.data.hub import CALL, Hub, archive, hub
from tests.training.scans import phantom
from training.data.__main__ import main
from training.data.data_set import DataSet, find
from training.data.errors import DataError
from training.data.fetch import CLASSES, COUNTS, require_space, unexpected_counts
from training.data.manifest import hash_files

_HALF = 2 << 20  # bytes; kagglehub writes whole MiB, and the archive has a little more than three
_COMMAND = [sys.executable, "-m", "training.data"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom(tmp_path_factory.mktemp("fetch") / "images", size=32)


@pytest.fixture(scope="module")
def zipped(images: Path) -> bytes:
    return archive(images)


@pytest.fixture
def served(zipped: bytes) -> Iterator[Hub]:
    with hub({1: zipped}) as running:
        yield running


def run(served: Hub, home: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_COMMAND, *map(str, arguments)],
        env=served.environment(home) | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def cached(home: Path) -> Path:
    return home / "cache/datasets/masoudnickparvar/brain-tumor-mri-dataset"


def message(done: subprocess.CompletedProcess[str]) -> str:
    """The last line that the command printed; there is no traceback."""
    assert done.returncode == 1, done.stderr
    assert not done.stdout
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("python -m training.data: ")
    return last


@dataclass(frozen=True)
class Fetched:
    """A command that succeeded, the home folder that it fetched into, and the hub that it fetched from."""

    done: subprocess.CompletedProcess[str]
    home: Path
    hub: Hub


@pytest.fixture(scope="module")
def fetched(zipped: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fetched]:
    """A fetch under an audit hook, which writes down the address of every socket that the process uses."""
    home = tmp_path_factory.mktemp("home")
    (home / "sitecustomize.py").write_text(
        "import sys\n"
        "def note(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'):\n"
        f"        with open({str(home / 'seen')!r}, 'a') as file:\n"
        "            print(args[0] if event == 'socket.getaddrinfo' else args[1][0], file=file)\n"
        "sys.addaudithook(note)\n"
    )
    with hub({1: zipped}) as running:
        yield Fetched(run(running, home, "kaggle/1", PYTHONPATH=str(home)), home, running)


def test_a_version_is_fetched(fetched: Fetched, images: Path) -> None:
    assert fetched.done.returncode == 0, fetched.done.stderr
    head, *_, together, last = fetched.done.stdout.splitlines()
    assert head.split("  ")[0] == "Kaggle brain-tumor-mri-dataset, version 1"
    assert together.split() == ["together", "24", "24"]
    assert Path(last) == cached(fetched.home) / "versions/1"
    data, original = find(Path(last)), find(images)
    assert (data.training, data.testing) == (original.training, original.testing)
    assert data.fingerprint() == original.fingerprint()
    assert data.name == "Kaggle brain-tumor-mri-dataset, version 1"
    entries = json.loads((Path(last) / "manifest.json").read_text())["images"]
    assert {entry["file"]: entry["sha256"] for entry in entries} == hash_files(
        images, original.training + original.testing
    )
    assert "warning: Training/glioma has 6 images, not the 1321 known" in fetched.done.stderr


def test_no_account_is_needed_and_the_version_is_pinned(fetched: Fetched) -> None:
    call, download = fetched.hub.requests[:2]
    assert call.url.endswith(CALL)
    assert call.body == {
        "ownerSlug": "masoudnickparvar",
        "datasetSlug": "brain-tumor-mri-dataset",
        "datasetVersionNumber": 1,
    }
    assert not {"Authorization", "Cookie"} & {*call.headers, *download.headers}


def test_no_connection_leaves_the_machine(fetched: Fetched) -> None:
    assert set((fetched.home / "seen").read_text().split()) == {"127.0.0.1"}
    assert [request.method for request in fetched.hub.requests] == ["POST", "GET"]


def test_what_is_in_the_cache_is_not_asked_for_again(fetched: Fetched) -> None:
    before = len(fetched.hub.requests)
    again = run(fetched.hub, fetched.home, "kaggle/1", "--check")
    assert (again.returncode, again.stdout) == (0, fetched.done.stdout)
    assert "48 images are as" in again.stderr
    assert len(fetched.hub.requests) == before


def test_a_download_that_broke_off_goes_on(served: Hub, tmp_path: Path) -> None:
    served.cut = _HALF + 1000
    assert "broke off after 2.1 MB: run the same command again" in message(run(served, tmp_path, "kaggle/1"))
    served.cut = None
    done = run(served, tmp_path, "kaggle/1")
    assert done.returncode == 0, done.stderr
    assert served.downloads() == ["", "", f"bytes={_HALF}-"]


def test_ctrl_c_keeps_what_came(served: Hub, tmp_path: Path) -> None:
    served.cut, served.stalls = _HALF + 1000, True
    command = [*_COMMAND, "kaggle/1"]
    part = cached(tmp_path) / "1.archive"
    with subprocess.Popen(
        command, env=served.environment(tmp_path), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: part.exists() and part.stat().st_size >= _HALF, "the first half")
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in output
    assert "stopped; the same command goes on" in output
    served.cut = None
    assert run(served, tmp_path, "kaggle/1").returncode == 0
    assert served.downloads()[-1] == f"bytes={_HALF}-"


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (403, "unset KAGGLE_API_TOKEN"),
        (429, "wait some minutes, then run the same command again"),
        (503, "it has trouble of its own: wait"),
        (451, "by hand, unpack it, and name its folder"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, advice: str, served: Hub, tmp_path: Path) -> None:
    served.status = status
    done = run(served, tmp_path, "kaggle/1")
    assert f"refuses kaggle/1 with status {status}" in message(done)
    assert advice in message(done)
    assert len(done.stderr.splitlines()) == 2  # where to, and why not


def test_a_version_that_is_gone_is_named(served: Hub, tmp_path: Path) -> None:
    output = message(run(served, tmp_path, "kaggle/2"))
    assert "refuses kaggle/2 with status 404" in output
    assert "take the other one, or fetch https://www.kaggle.com/datasets/" in output


def test_an_archive_damaged_on_the_way_is_fetched_anew(served: Hub, tmp_path: Path) -> None:
    served.flip = True
    assert "is damaged and was removed" in message(run(served, tmp_path, "kaggle/1"))
    served.flip = False
    assert run(served, tmp_path, "kaggle/1").returncode == 0
    assert served.downloads() == ["", ""]


def test_an_archive_damaged_at_its_source_is_not_kept(served: Hub, zipped: bytes, tmp_path: Path) -> None:
    middle = len(zipped) // 2
    served.archives[1] = zipped[:middle] + bytes([zipped[middle] ^ 1]) + zipped[middle + 1 :]
    assert "is damaged and was removed" in message(run(served, tmp_path, "kaggle/1"))
    assert not [path for path in cached(tmp_path).rglob("*") if path.is_file()]


def test_a_log_in_page_is_no_archive(served: Hub, tmp_path: Path) -> None:
    served.page = True
    assert "log-in page" in message(run(served, tmp_path, "kaggle/1"))
    assert not (cached(tmp_path) / "1.archive").exists()


def test_another_layout_is_reported_with_its_folder(served: Hub, images: Path, tmp_path: Path) -> None:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.write(next(images.rglob("*.jpg")), "training/glioma/Tr-gl_0000.jpg")
    served.archives[1] = stream.getvalue()
    output = message(run(served, tmp_path, "kaggle/1"))
    assert "training must hold two or more class folders" in output
    assert f"remove {cached(tmp_path) / 'versions/1'} to try again" in output


def test_being_offline_is_reported(served: Hub, tmp_path: Path) -> None:
    if listens(80):
        pytest.skip("something listens where nothing should")
    assert "is this machine online?" in message(run(served, tmp_path, "kaggle/1", http_proxy="", https_proxy=""))
    assert not served.requests


def test_a_proxy_that_is_gone_is_reported(served: Hub, tmp_path: Path) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    assert "through the proxy that HTTPS_PROXY" in message(run(served, tmp_path, "kaggle/1", http_proxy=gone))


@pytest.mark.parametrize(
    ("state", "output"),
    [
        ({"silent": True}, "Kaggle does not respond"),
        ({"cut": _HALF + 1000, "stalls": True}, "the download broke off after 2.1 MB"),
    ],
)
def test_a_hub_that_falls_silent_is_not_waited_for_without_end(
    state: dict[str, object], output: str, served: Hub, tmp_path: Path
) -> None:
    vars(served).update(state)
    code = "from training.data.fetch import fetch; fetch(1, deadline=(5, 0.5))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=served.environment(tmp_path),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert f"DataError: {output}" in done.stderr.splitlines()[-1]


def test_a_cache_that_cannot_be_written_is_named(served: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    output = message(run(served, tmp_path, "kaggle/1", KAGGLEHUB_CACHE=str(tmp_path / "file" / "cache")))
    assert f"cannot store kaggle/1 in {tmp_path / 'file' / 'cache'}: Not a directory" in output
    assert "let KAGGLEHUB_CACHE name" in output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_disk_that_fills_up_is_reported(served: Hub, tmp_path: Path) -> None:
    cached(tmp_path).mkdir(parents=True)
    (cached(tmp_path) / "1.archive").symlink_to("/dev/full")
    assert f"no space left for kaggle/1 in {tmp_path / 'cache'}" in message(run(served, tmp_path, "kaggle/1"))


def test_room_is_looked_for_before_the_download(tmp_path: Path) -> None:
    require_space(tmp_path / "to" / "be" / "made", 1)
    with pytest.raises(DataError, match=r"free some, or let KAGGLEHUB_CACHE name"):
        require_space(tmp_path / "to" / "be" / "made", 1 << 62)


def test_a_damaged_file_of_credentials_is_named(served: Hub, tmp_path: Path) -> None:
    (tmp_path / ".kaggle").mkdir()
    (tmp_path / ".kaggle" / "kaggle.json").write_text("{")
    assert str(tmp_path / ".kaggle" / "kaggle.json") in message(run(served, tmp_path, "kaggle/1"))


@pytest.mark.parametrize(
    ("arguments", "status", "output"),
    [
        (["kaggle/1", "--out", "x"], 2, "KAGGLEHUB_CACHE moves the Kaggle set"),
        (["kaggle/1", "--size", "32"], 2, "unrecognized arguments: --size 32"),
        (["kaggle/3"], 1, "there is no kaggle/3: name kaggle/1 or kaggle/2"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    arguments: list[str], status: int, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == status
    assert output in capsys.readouterr().err


@pytest.mark.parametrize("version", COUNTS)
def test_the_known_numbers_of_images_are_expected(version: int) -> None:
    files = {
        split: tuple(f"{split}/{name}/{i}.jpg" for name, n in zip(CLASSES, counts, strict=True) for i in range(n))
        for split, counts in COUNTS[version].items()
    }
    classes = {file: Path(file).parent.name for part in files.values() for file in part}
    whole = DataSet(Path(), CLASSES, files["Training"], files["Testing"], "", classes)
    assert (len(whole.training), len(whole.testing)) == {1: (5712, 1311), 2: (5600, 1600)}[version]
    assert not unexpected_counts(version, whole)
    less = DataSet(Path(), CLASSES, files["Training"][:-1], files["Testing"], "", classes)
    assert len(unexpected_counts(version, less)) == 1
