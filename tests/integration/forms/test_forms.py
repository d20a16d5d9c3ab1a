"""Every form in which people keep their models is served as its notebook predicts, or refused in a clear sentence."""

import os

import pytest

from tests.integration.forms import table
from tests.integration.forms.catalogue import FORMS, TOLERANCE, Form
from tests.integration.forms.environments import ALL, NoPython
from tests.integration.forms.outcomes import Outcome, find_outcomes

pytestmark = pytest.mark.timeout(900)  # the first test waits for the environments and for all forms


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", flush=True)

    try:
        found = find_outcomes(tmp_path_factory.mktemp("forms"), say)
    except NoPython as missing:
        pytest.skip(str(missing))
    say(table.rendered(found))
    return found


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_form(outcomes: list[Outcome], form: Form) -> None:
    found = [outcome for outcome in outcomes if outcome.form is form]
    assert found
    for outcome in found:
        assert not outcome.failure, outcome.failure
        assert bool(outcome.refusal) == form.refused, outcome.refusal
        if form.limit:
            assert TOLERANCE < outcome.difference < form.limit.tolerance
            assert outcome.difference_without_limit < TOLERANCE
        elif not form.refused:
            assert outcome.difference < TOLERANCE


@pytest.mark.skipif(os.environ.get(ALL) == "all", reason="the document has the versions of the ordinary run")
def test_the_tables_in_the_document_are_what_this_run_shows(outcomes: list[Outcome]) -> None:
    assert table.without_digits(table.in_document()) == table.without_digits(table.rendered(outcomes))
