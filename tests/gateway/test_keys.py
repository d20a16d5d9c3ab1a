import hashlib
import math

import pytest

from gateway import keys
from gateway.keys import Caller, KeyFile, KeysError, digest_of, new_key, read_keys
from tests.gateway.fake_model_server import wait_for

A, B = hashlib.sha256(b"a").hexdigest(), hashlib.sha256(b"b").hexdigest()


def test_a_file_of_keys():
    callers = read_keys(
        f"""
        [research]
        sha256 = ["{A}", "{B}"]
        rate = 2.5
        share = 0.5
        scopes = ["predict", "metrics"]

        ["team-2.x"]
        sha256 = ["{digest_of("c")}"]

        [nobody]
        """
    )
    research = Caller("research", frozenset(("predict", "metrics")), 2.5, 2.5, 0.5)
    assert callers == {A: research, B: research, digest_of("c"): Caller("team-2.x")}
    assert callers[digest_of("c")].rate == math.inf
    assert callers[digest_of("c")].scopes == {"predict"}
    assert read_keys("") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[x", "TOML"),
        ("x = 1", "table"),
        ('["a b"]', "name"),
        (f"[{'x' * 41}]", "name"),
        ('[x]\nsha256 = "0"', "64 hexadecimal"),
        ('[x]\nsha256 = ["secret"]', "64 hexadecimal"),
        (f'[x]\nsha256 = ["{A.upper()}"]', "lower case"),
        (f'[x]\nsha256 = ["{A}"]\n[y]\nsha256 = ["{A}"]', "same key"),
        ("[x]\nrate = 0", "rate"),
        ("[x]\nrate = nan", "rate"),
        ("[x]\nrate = true", "rate"),
        ("[x]\nburst = 0.5", "burst"),
        ("[x]\nshare = 1.5", "share"),
        ('[x]\nscopes = ["all"]', "scopes"),
        ("[x]\nscopes = []", "scopes"),
        ("[x]\nkey = 1", "key"),
    ],
)
def test_a_file_that_cannot_be_used(text, message):
    with pytest.raises(KeysError, match=message) as error:
        read_keys(text)
    assert "secret" not in str(error.value)


def test_keys_are_long_and_never_the_same():
    key, digest = new_key()
    assert len(key) >= 43
    assert digest == digest_of(key) == hashlib.sha256(key.encode()).hexdigest()
    assert new_key() != (key, digest)


def test_a_file_that_changes(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(keys, "_LOOK_SECONDS", 0.0)
    path = tmp_path / "keys.toml"
    path.write_text(f'[one]\nsha256 = ["{A}"]')
    file = KeyFile(path)
    assert file.find("a") == Caller("one")
    assert file.find("b") is None
    # As Kubernetes does it: another file comes in its place.
    (tmp_path / "new").write_text(f'[one]\nsha256 = ["{A}", "{B}"]')
    (tmp_path / "new").replace(path)
    assert file.find("b") == file.find("a") == Caller("one")
    path.write_text("[broken")
    wait_for(lambda: file.find("b") == Caller("one") and "stay as they were" in caplog.text)
    path.unlink()
    assert file.find("b") == Caller("one")
    assert A not in caplog.text
    path.write_text("")
    assert file.find("a") is None


@pytest.mark.parametrize("content", [b"[x", b"\xff", b"#" * ((1 << 20) + 1)])
def test_a_start_with_a_bad_file(tmp_path, content):
    (tmp_path / "keys.toml").write_bytes(content)
    with pytest.raises(KeysError):
        KeyFile(tmp_path / "keys.toml")
