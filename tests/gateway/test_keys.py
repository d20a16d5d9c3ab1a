import hashlib
import math
import random
import string

import pytest

from gateway.keys import Caller, KeysError, digest_of, new_caller, read_keys

A, B = hashlib.sha256(b"a").hexdigest(), hashlib.sha256(b"b").hexdigest()
GOOD = f"""
[research]
sha256 = ["{A}", "{B}"]
rate = 2.5
share = 0.5
scopes = ["predict", "metrics"]

["team-2.x"]
sha256 = ["{digest_of("c")}"]
rate = 0.001
burst = 1000000

[nobody]
"""


def test_a_file_of_keys():
    callers = read_keys(GOOD.encode())
    research = Caller("research", frozenset(("predict", "metrics")), 2.5, 2.5, 0.5)
    assert callers == {A: research, B: research, digest_of("c"): Caller("team-2.x", rate=0.001, burst=1e6)}
    assert read_keys(b"") == {}


def test_what_a_caller_has_by_default():
    caller = read_keys(f'[x]\nsha256 = ["{A}"]'.encode())[A]
    assert (caller.scopes, caller.rate, caller.share) == ({"predict"}, math.inf, 1)


@pytest.mark.parametrize(("rate", "burst"), [("20", 20.0), ("1", 1.0), ("0.25", 1.0)])
def test_without_a_burst_it_is_the_rate_and_at_least_one_request(rate, burst):
    assert read_keys(f'[x]\nsha256 = ["{A}"]\nrate = {rate}'.encode())[A].burst == burst


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[x", r"no valid TOML \(at end of document\)"),
        ("[x]\n[x]", r"no valid TOML \(at line 2, column 3\)"),
        ("[x]\nrate = " + "[" * 5000, "no valid TOML: too deep"),
        ("[x]\nrate = " + "9" * 5000, "no valid TOML: too deep, or with too long a number"),
        ("[x]\nrate = 2026-02-30", r"no valid TOML \(at line 2"),
        ("[x]\nrate = 2026-02-03", "rate must be a number"),
        ("x = 1", r'x must be a table: \["x"\]'),
        ("[[x]]", "x must be a table"),
        ('[x]\n["a b"]', "entry 2 has a name that cannot be used: a name has up to 40 letters"),
        (f"[{'x' * 41}]", "entry 1 has a name"),
        ("[-x]", "entry 1 has a name"),
        ("['']", "entry 1 has a name"),
        ("[a.b]", "A name with a dot must stand in quotes"),
        ('[x]\nsha256 = "0"', "64 hexadecimal"),
        ('[x]\nsha256 = ["secret"]', "64 hexadecimal"),
        (f'[x]\nsha256 = ["{A}\\n"]', "64 hexadecimal"),
        (f'[x]\nsha256 = ["{A.upper()}"]', "lower case"),
        (f'[x]\nsha256 = ["{A}"]\n[y]\nsha256 = ["{A}"]', r"\[y\] and \[x\] have the same key"),
        (f'[x]\nsha256 = ["{hashlib.sha256().hexdigest()}"]', "empty text"),
        ("[x]\nrate = 0", r"\[x\] rate must be a number from 0.001 to 1,000,000"),
        ("[x]\nrate = 5e-324", "rate"),
        ("[x]\nrate = 0.0009", "rate"),
        ("[x]\nrate = 1000000.1", "rate"),
        (f"[x]\nrate = {'9' * 400}", "rate"),
        ("[x]\nrate = nan", "rate"),
        ("[x]\nrate = inf", "rate"),
        ("[x]\nrate = true", "rate"),
        ('[x]\nrate = "5"', "rate"),
        ("[x]\nrate = 5\nburst = 0.5", "burst must be a number from 1 to 1,000,000"),
        ("[x]\nrate = 5\nburst = 1e7", "burst"),
        ("[x]\nburst = 5", "burst means nothing without rate"),
        ("[x]\nshare = 1.5", "share"),
        ("[x]\nshare = 0", "share must be a number from 0.001 to 1$"),
        ('[x]\nscopes = ["all"]', "scopes"),
        ("[x]\nscopes = [{}]", "scopes"),
        ("[x]\nscopes = []", "scopes"),
        ("[x]\nkey = 1", "something else than sha256, rate, burst, share and scopes"),
    ],
)
def test_a_file_that_cannot_be_used(text, message):
    with pytest.raises(KeysError, match=message) as error:
        read_keys(text.encode())
    assert "secret" not in str(error.value)


def test_a_file_that_is_no_text():
    with pytest.raises(KeysError, match="UTF-8"):
        read_keys(b"\xff")


@pytest.mark.parametrize(
    "text",
    [
        "[{secret}]\n[{secret}]",
        '["{secret}"]',
        '["a\\n{secret}"]',
        "{secret} = 1",
        "{secret}.x = 1\n{secret} = 2",
        "[x]\n{secret} = 1",
        "[x]\n{secret} = 1\n{secret} = 1",
        "[x]\nsha256 = {secret}",
        '[x]\nsha256 = "{secret}"',
        '[x]\nrate = "{secret}"',
        '[x]\nscopes = ["{secret}"]',
        "[x.{secret}]",
        "x = {{{secret} = 1, {secret} = 2}}",
    ],
)
def test_what_is_in_a_wrong_place_is_not_repeated(text):
    key, _ = new_caller("x")
    for secret in (key, A):
        with pytest.raises(KeysError) as error:
            read_keys(text.format(secret=secret).encode())
        assert secret not in str(error.value)
        assert "\n" not in str(error.value)


def test_odd_files_raise_nothing_else():
    chance = random.Random(7)
    odd = ["[", "]", "{", "}", '"', "'", ".", "=", "\n", "\\", "#", "\0", "-", "1e999", "9" * 5000, "[" * 2000, "1979-"]
    odd += ["\r", '"""', "_", "0x", "inf", "07:32:00", "rate", "sha256", A, "\\ud800", *string.whitespace]
    good = GOOD.encode()
    used = 0
    for _ in range(5000):
        content = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(content) + 1)
            match chance.randrange(3):
                case 0:
                    content[place:place] = chance.choice(odd).encode()
                case 1:
                    del content[place : place + chance.randint(1, 30)]
                case 2:
                    content[place : place + 1] = bytes([chance.randrange(130)])
        try:
            read_keys(bytes(content))
        except KeysError as error:
            assert len(str(error)) < 300
            assert str(error).isprintable()
        else:
            used += 1
    assert 100 < used < 4900


@pytest.mark.parametrize("name", ["team", "a.b", "1.5", "2026-01-01", "x_y-z", "A" * 40, "true"])
def test_a_new_caller_is_one_of_the_file(name):
    key, table = new_caller(name)
    _, other = new_caller("other")
    assert len(key) >= 43
    assert read_keys((table + other).encode())[digest_of(key)] == Caller(name)
    assert key not in table


def test_keys_are_never_the_same():
    assert len({new_caller("x")[0] for _ in range(100)}) == 100


@pytest.mark.parametrize("name", ["", "a b", 'a"b', "a]b", "a\nb", "x" * 41, ".a", "-a", "é"])
def test_a_new_caller_needs_a_name_that_the_file_may_have(name):
    with pytest.raises(KeysError, match="40 letters"):
        new_caller(name)
