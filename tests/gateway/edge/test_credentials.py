"""What the headers of a request say of its sender, and what follows: without sockets, and with a clock of the test."""

from pathlib import Path

import h11
import pytest

from gateway.edge.callers import Callers
from gateway.edge.key_file import KeyFile
from gateway.edge.messages import Problem
from gateway.edge.rates import Rates
from gateway.keys import Caller, digest_of

TABLES = {
    "plain": f'["plain"]\nsha256 = ["{digest_of("key")}"]\n',
    "slow": f'["slow"]\nsha256 = ["{digest_of("slow-key")}"]\nrate = 0.3\nburst = 2\n',
}


class Service:
    """Callers, their file and the time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds = 0.0
        self.write("plain", "slow")
        self.keys = KeyFile(path)
        self.rates = Rates(lambda: self.seconds)
        self.callers = Callers(self.keys, self.rates)

    def write(self, *names: str) -> None:
        self.path.write_text("".join(TABLES[name] for name in names))

    def check(self, *authorizations: str, scope: str = "predict") -> Caller | Problem:
        headers = [("Host", "x"), *(("Authorization", value) for value in authorizations)]
        return self.callers.check(h11.Request(method="POST", target="/predict", headers=headers), scope, "/predict")


@pytest.fixture
def service(tmp_path) -> Service:
    return Service(tmp_path / "keys.toml")


@pytest.mark.parametrize("value", ["Bearer key", "bearer key", "BEARER key", "bEaReR   key"])
def test_the_scheme_is_read_without_regard_to_case_and_spaces(service, value):
    assert service.check(value) == Caller("plain")


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("",),
        ("key",),
        ("Basic key",),
        ("Bearerkey",),
        ("Bearer\tkey",),
        ("Bearer key", "Bearer key"),
        ("Bearer key", "Bearer other"),
        ("Basic x", "Bearer key"),
    ],
)
def test_without_exactly_one_key_none_is_looked_for(service, values):
    problem = service.check(*values)
    assert (problem.status, problem.route, problem.caller) == (401, "/predict", "")
    assert problem.headers == (("WWW-Authenticate", 'Bearer realm="brain-tumor"'),)


@pytest.mark.parametrize(
    "value", ["Bearer", "Bearer KEY", "Bearer key key", "Bearer key,", 'Bearer "key"', f"Bearer {digest_of('key')}"]
)
def test_a_key_that_nobody_has(service, value):
    problem = service.check(value)
    assert (problem.status, problem.caller) == (401, "")
    assert problem.headers == (("WWW-Authenticate", 'Bearer realm="brain-tumor", error="invalid_token"'),)


def test_a_key_that_is_not_good_for_this_has_a_name(service):
    problem = service.check("Bearer key", scope="metrics")
    assert (problem.status, problem.route, problem.caller, problem.retry_after) == (403, "/predict", "plain", None)
    challenge = 'Bearer realm="brain-tumor", error="insufficient_scope", scope="metrics"'
    assert problem.headers == (("WWW-Authenticate", challenge),)


def test_what_a_key_is_not_good_for_costs_nothing_of_its_rate(service):
    for _ in range(5):
        assert service.check("Bearer slow-key", scope="metrics").status == 403
    assert isinstance(service.check("Bearer slow-key"), Caller)


def test_a_rate_that_is_used_up(service):
    outcomes = [service.check("Bearer slow-key") for _ in range(3)]
    assert [type(outcome) for outcome in outcomes] == [Caller, Caller, Problem]
    problem = outcomes[2]
    assert (problem.status, problem.route, problem.caller, problem.headers) == (429, "/predict", "slow", ())
    assert problem.retry_after == 4  # whole seconds: 1 / 0.3 is 3.3
    assert "0.3 requests a second" in problem.detail
    service.seconds += problem.retry_after
    assert isinstance(service.check("Bearer slow-key"), Caller)


def test_another_file_leaves_rates_as_they_are_but_for_those_who_are_gone(service):
    while isinstance(service.check("Bearer slow-key"), Caller):
        pass
    service.path.write_text(service.path.read_text() + "\n")
    service.keys.look()
    assert service.check("Bearer slow-key").status == 429
    service.write("plain")
    service.keys.look()
    assert service.check("Bearer slow-key").status == 401
    service.check("Bearer key")
    assert len(service.rates) == 0
