"""Images from an S3 bucket, by boto3, from moto's server on loopback."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from brain_tumor_client.errors import ImageAway, ImageUnusable
from brain_tumor_client.sources.bucket import Bucket, InBucket, Prefix
from tests.client.command import Command
from tests.client.scripted_service import ScriptedService
from tests.client.sources.dicom_files import write_dicom
from tests.processes import free_port

PNG = b"\x89PNG\r\n\x1a\n"
Put = Callable[..., None]


@pytest.fixture
def put(make_bucket: Callable[[str], Any]) -> Put:
    """A function that puts an object into the bucket ``images``, which is empty before."""
    bucket = make_bucket("images")
    return lambda key, content, **options: bucket.put_object(Key=key, Body=content, **options) and None


@pytest.fixture
def classify(command: Command, s3_environment: dict[str, str]):
    def run(*arguments: str, **changes: str):
        return command.run("classify", *arguments, "--out", "r.csv", "--restart", **{**s3_environment, **changes})

    return run


def names(command: Command) -> list[str]:
    return [row["path"].removeprefix("s3://images/") for row in command.rows("r.csv")]


def test_a_folder_of_a_bucket(put: Put, classify, command: Command, service: ScriptedService) -> None:
    for key in ("scans/b.png", "scans/a.png", "scans/c/1", "scans-of-others/x.png"):
        put(key, PNG + key.encode())
    for key in ("scans/.hidden.png", "scans/.git/y.png", "scans/", "scans/notes.txt", "scans/words"):
        put(key, b"words")
    done = classify("s3://images/scans/")
    assert done.returncode == 0, done.stderr
    assert names(command) == ["scans/a.png", "scans/b.png", "scans/c/1"]
    assert {request.body for request in service.predictions} == {
        PNG + f"scans/{key}".encode() for key in ("a.png", "b.png", "c/1")
    }
    assert "2 other files" in done.stderr


def test_a_whole_bucket_and_one_object(put: Put, classify, command: Command) -> None:
    for key in ("a.png", "b/c.png", "b/c.png.png"):
        put(key, PNG)
    assert classify("s3://images").returncode == 0
    assert names(command) == ["a.png", "b/c.png", "b/c.png.png"]
    assert classify("s3://images/b/c.png").returncode == 0
    assert names(command) == ["b/c.png"]


def test_more_objects_than_one_page_of_the_list(put: Put) -> None:
    keys = [f"{number}.png" for number in range(7)]
    for key in keys:
        put(key, PNG)
    assert [file.key for file in Prefix.of("s3://images").files(at_a_time=3)] == keys


def test_shards_hold_each_object_once(put: Put, classify, command: Command) -> None:
    for number in range(30):
        put(f"{number:02}.png", PNG)
    parts = []
    for index in range(3):
        assert classify("s3://images", "--shard", f"{index}/3").returncode == 0
        parts.append(names(command))
    assert all(len(part) > 3 for part in parts)
    assert sorted(name for part in parts for name in part) == [f"{number:02}.png" for number in range(30)]


def test_a_series_between_folders_stays_together(put: Put, classify, command: Command, tmp_path: Path) -> None:
    for step, name in enumerate(("c", "a", "z")):
        put(f"mr/{name}", write_dicom(tmp_path / name, "1.2.3.4", (0, 0, -step)).read_bytes())
    put("mr/b/1.dcm", write_dicom(tmp_path / "1", "1.2.3.5", (0, 0, 0)).read_bytes())
    put("mr.png", PNG)
    put("n/a.png", PNG)
    assert classify("s3://images", "--concurrency", "1").returncode == 0
    assert names(command) == ["mr.png", "mr/b/1.dcm", "mr/z", "mr/a", "mr/c", "n/a.png"]
    assert {row["volume"] for row in command.rows("r.csv")} == {"", "s3://images/mr (series 1)"}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_volume(put: Put, classify, command: Command, tmp_path: Path, suffix: str) -> None:
    values = np.random.default_rng(1).random((20, 20, 12)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / f"head{suffix}")
    put(f"head{suffix}", (tmp_path / f"head{suffix}").read_bytes())
    put("broken.nii", b"words")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert classify("s3://images", TMPDIR=str(scratch)).returncode == 1
    assert [row["slice"] for row in command.rows("r.csv")] == ["", *map(str, range(12))]
    assert "no NIfTI file" in command.rows("r.csv")[0]["error_detail"]
    assert list(scratch.iterdir()) == []


def test_a_public_object_needs_no_keys(put: Put, classify, command: Command, s3_environment: dict[str, str]) -> None:
    put("private.png", PNG)
    put("public.png", PNG, ACL="public-read")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del s3_environment[name]
    assert classify("s3://images").returncode == 1
    private, public = command.rows("r.csv")
    assert private["error_detail"] == "S3 does not send the file. Check that its bucket lets you read it."
    assert public["class"]


def test_what_passes_is_told_from_what_does_not(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("a.png", PNG)
    (file,) = Prefix.of("s3://images").files()
    assert file.content(len(PNG)) == PNG
    with pytest.raises(ImageUnusable, match="more than 7 bytes"):
        file.content(7)
    gone = InBucket(file.bucket, "gone.png")
    with pytest.raises(ImageUnusable, match="no such file"):
        gone.content(100)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
    away = InBucket(Bucket("images"), "a.png")
    for read in (lambda: away.content(100), away.open, lambda: away.on_disk().__enter__()):
        with pytest.raises(ImageAway):
            read()


@pytest.mark.parametrize(
    ("place", "code", "words"),
    [
        ("s3://", 2, "s3://bucket/folder"),
        ("s3://nobodys", 2, "cannot be listed. Check the name, and the credentials"),
        ("s3://Not a name", 2, "cannot be listed"),
        ("s3://images/nothing", 2, "There is nothing at s3://images/nothing"),
    ],
)
def test_what_cannot_be_listed(put: Put, classify, service: ScriptedService, place: str, code: int, words: str) -> None:
    put("nothing-else.png", PNG)
    for shard in ("0/1", "1/2"):
        done = classify(place, "--shard", shard)
        assert done.returncode == code
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert service.predictions == []


def test_an_s3_that_is_away_is_tried_again_later(classify, command: Command) -> None:
    """Exit code 3, after which a Job tries again, and not 2, after which it gives up."""
    done = classify("s3://images", AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 3
    assert "S3 is not reachable" in done.stderr
    assert os.environ.get("AWS_ENDPOINT_URL_S3") is None
    assert command.files() == []
