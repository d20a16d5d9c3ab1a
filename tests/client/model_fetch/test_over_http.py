"""A model behind HTTP, from a server that breaks connections, changes its mind, or asks who is there."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from brain_tumor_client.errors import ModelAway, ModelRefused, ModelUnusable
from tests.client.model_fetch.archive_server import ArchiveServer, archive_server
from tests.client.model_fetch.archives import FILES, packed, sha256
from tests.processes import free_port

Fetch = Callable[..., None]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def only(out: Path, archive: bytes) -> bool:
    """Whether the folder is there and whole, and nothing beside it."""
    made_of = {".archive-sha256": sha256(archive).encode()}
    return files_of(out) == {**FILES, **made_of} and list(out.parent.iterdir()) == [out]


def test_a_broken_download_goes_on_where_it_was(server: ArchiveServer, fetch_from: Fetch, out: Path) -> None:
    server.cuts = [300_000, 300_000]
    fetch_from(server.url, server.content)
    assert only(out, server.content)
    assert server.asked("Range") == [None, "bytes=300000-", "bytes=600000-"]
    assert server.asked("If-Range") == [None, server.etag, server.etag]


def test_servers_that_are_busy_are_asked_again(server: ArchiveServer, fetch_from: Fetch, out: Path, log) -> None:
    server.statuses = [503, 429, 500]
    fetch_from(server.url, server.content)
    assert only(out, server.content)
    assert "(status 503). Trying again" in log[0]


@pytest.mark.parametrize("ignored", [(), ("Range",), ("If-Range",), ("Range", "If-Range")])
def test_an_archive_that_is_replaced_meanwhile(server: ArchiveServer, fetch_from: Fetch, out, ignored) -> None:
    """Also by a server that knows half of the rules: parts of two archives are never joined."""
    new = packed({**FILES, "saved_model.pb": b"another graph"})
    server.ignores, server.cuts, server.then = set(ignored), [300_000], (new, '"second"')
    fetch_from(server.url, new)
    assert (out / "saved_model.pb").read_bytes() == b"another graph"


def test_a_server_that_sends_another_part(server: ArchiveServer, fetch_from: Fetch, out: Path) -> None:
    server.cuts, server.shifts = [300_000], [4096]
    fetch_from(server.url, server.content)
    assert only(out, server.content)
    assert server.asked("Range") == [None, "bytes=300000-", None]


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_strong_etag_it_begins_anew(server: ArchiveServer, fetch_from: Fetch, out: Path, etag: str) -> None:
    server.etag, server.cuts = etag, [300_000]
    fetch_from(server.url, server.content)
    assert only(out, server.content)
    assert server.asked("Range") == [None, None]


def test_a_server_that_stays_away_is_given_up(server: ArchiveServer, fetch_from: Fetch, out: Path, log) -> None:
    server.statuses = [503] * 20
    with pytest.raises(ModelAway, match="status 503"):
        fetch_from(server.url, server.content)
    assert len(server.requests) == 8
    assert len(log) == 7
    with pytest.raises(ModelAway, match="not reachable"):
        fetch_from(f"http://127.0.0.1:{free_port()}/7.tar.gz", server.content)
    assert not out.exists()


def test_another_archive_is_refused_and_forgotten(server: ArchiveServer, fetch_from: Fetch, out: Path) -> None:
    with pytest.raises(ModelUnusable, match=sha256(server.content)):
        fetch_from(server.url, b"what was meant")
    assert not out.exists()
    assert list(out.parent.iterdir()) == []
    fetch_from(server.url, server.content)
    assert only(out, server.content)


def test_one_byte_too_many(server: ArchiveServer, fetch_from: Fetch, out: Path) -> None:
    size = len(server.content)
    with pytest.raises(ModelUnusable, match=f"more than {size - 1:,} bytes"):
        fetch_from(server.url, server.content, size - 1)
    assert list(out.parent.iterdir()) == []


def test_an_archive_without_end(server: ArchiveServer, fetch_from: Fetch) -> None:
    server.cuts, server.holds = [500_000], True  # and then nothing more, for which nobody waits
    with pytest.raises(ModelUnusable, match="more than 400,000 bytes"):
        fetch_from(server.url, server.content, 400_000)
    assert len(server.requests) == 1


def test_a_bad_line_is_no_reason_to_give_up_as_long_as_something_comes(server, fetch_from: Fetch, out: Path) -> None:
    server.cuts = [50_000] * 12  # more than the attempts without a byte
    fetch_from(server.url, server.content)
    assert only(out, server.content)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, ModelRefused, "MODEL_AUTHORIZATION"),
        (403, ModelRefused, "MODEL_AUTHORIZATION"),
        (404, ModelUnusable, "nothing at http://127.0.0.1"),
        (400, ModelUnusable, "status 400"),
    ],
)
def test_what_is_no_use_to_try_again(server: ArchiveServer, fetch_from: Fetch, status, error, words) -> None:
    server.statuses = [status]
    with pytest.raises(error, match=words):
        fetch_from(f"{server.url}?signature=secret", server.content)
    assert len(server.requests) == 1


def test_no_message_holds_a_signature(server: ArchiveServer, fetch_from: Fetch, log: list[str]) -> None:
    server.statuses = [503, 404]
    with pytest.raises(ModelUnusable) as raised:
        fetch_from(f"{server.url}?signature=secret", server.content)
    assert server.paths[0].endswith("?signature=secret")
    assert "secret" not in "".join([*log, str(raised.value)])


def test_a_header_of_the_secret(server: ArchiveServer, fetch_from: Fetch, out: Path, monkeypatch) -> None:
    server.authorization = "Bearer hush"
    monkeypatch.setenv("MODEL_AUTHORIZATION", "Bearer hush\n")  # as a Secret's file may end
    fetch_from(server.url, server.content)
    assert only(out, server.content)


def test_credentials_stay_with_the_server_that_they_are_for(
    server: ArchiveServer, fetch_from: Fetch, out: Path, monkeypatch
) -> None:
    monkeypatch.setenv("MODEL_AUTHORIZATION", "Bearer hush")
    with archive_server(server.content) as elsewhere:
        server.redirect = elsewhere.url.replace("127.0.0.1", "localhost")
        fetch_from(server.url, server.content)
        assert only(out, server.content)
        assert (server.asked("Authorization"), elsewhere.asked("Authorization")) == (["Bearer hush"], [None])
    out.rename(out.with_name("8"))
    with pytest.raises(ModelUnusable, match="Use https"):
        fetch_from("http://model.example/7.tar.gz", server.content)


def test_a_circle_of_redirects(server: ArchiveServer, fetch_from: Fetch) -> None:
    server.redirect = server.url
    with pytest.raises(ModelUnusable, match="leads to no archive"):
        fetch_from(server.url, server.content)


def test_https(fetch_from: Fetch, out: Path, tmp_path: Path, monkeypatch) -> None:
    authority, archive = trustme.CA(), packed()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with archive_server(archive, context) as server:
        with pytest.raises(ModelUnusable, match="SSL_CERT_FILE"):
            fetch_from(server.url, archive)
        authority.cert_pem.write_to_path(tmp_path / "authority.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        server.cuts = [300_000]
        fetch_from(server.url, archive)
        assert server.asked("Range") == [None, "bytes=300000-"]
    assert only(out, archive)


@pytest.mark.parametrize("flavor", ["Google", ""])
def test_google_cloud_storage_as_the_pod_s_identity(server: ArchiveServer, fetch_from, out, monkeypatch, flavor):
    """Without an identity, or with something else at its address, it asks as nobody, and gets public objects."""
    archive, token = server.content, b'{"access_token": "ya29", "expires_in": 3599, "token_type": "Bearer"}'
    server.cuts = [300_000]
    with archive_server(token) as metadata:
        metadata.headers = {"Metadata-Flavor": flavor}
        monkeypatch.setenv("GCE_METADATA_HOST", metadata.url.split("/")[2])
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url.removesuffix("/models/7.tar.gz"))
        fetch_from("gs://models/brain tumor#1/7.tar.gz", archive)
    assert only(out, archive)
    assert server.paths == ["/models/brain%20tumor%231/7.tar.gz"] * 2
    assert server.asked("Authorization") == (["Bearer ya29"] * 2 if flavor else [None] * 2)
    assert metadata.paths == ["/computeMetadata/v1/instance/service-accounts/default/token"] * 2
    assert metadata.asked("Metadata-Flavor") == ["Google"] * 2
