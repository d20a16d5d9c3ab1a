"""Dataclasses of options as a command line: names, types, defaults, checks and help."""

import argparse
from dataclasses import dataclass

import pytest

from training.option_fields import ABOVE_ZERO, add_options, at_most, option, read_options


@dataclass(frozen=True)
class Oven:
    top_heat: int = option(180, "degrees", ABOVE_ZERO, at_most(250))
    minutes: float | None = option(None, "how long", ABOVE_ZERO, otherwise="the recipe's own")
    fan: bool = option(False, "blow hot air")
    tin: str | None = option(None, "the form", choices=("loaf", "none"))


def read(*arguments: str) -> Oven:
    parser = argparse.ArgumentParser()
    add_options(parser, Oven)
    return read_options(parser, parser.parse_args(arguments), Oven)


def test_without_arguments_the_defaults_hold() -> None:
    assert read() == Oven()


def test_arguments_have_the_fields_types() -> None:
    assert read("--top-heat", "200", "--minutes", "4.5", "--fan", "--tin", "loaf") == Oven(200, 4.5, True, "loaf")


def test_none_can_be_written_where_it_is_a_choice() -> None:
    assert read("--tin", "none") == Oven(tin=None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--top-heat", "0"), "--top-heat must be above 0, not 0"),
        (("--top-heat", "300"), "--top-heat must be at most 250, not 300"),
        (("--minutes", "nan"), "--minutes must be above 0, not nan"),
        (("--tin", "round"), "invalid choice: 'round'"),
        (("--top-heat", "hot"), "--top-heat: invalid int value: 'hot'"),
    ],
)
def test_a_bad_value_is_refused(arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read(*arguments)
    assert message in capsys.readouterr().err


def test_the_help_names_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read("--help")
    text = " ".join(capsys.readouterr().out.split())
    for line in (
        "degrees (default: 180)",
        "how long (default: the recipe's own)",
        "blow hot air (default: no)",
        "the form (default: none)",
    ):
        assert line in text
