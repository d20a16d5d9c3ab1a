"""Command-line options from dataclasses: a field that ``option`` makes is an argument of the command line as well.

The field holds the argument's name, type, default, checks and help, so that an option is written once, in one line.
"""

import argparse
import math
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, TypeVar

SEEDS = 2**32 - 1  # how many seeds there are, from 0: NumPy's and Keras' range, less one
_NONE = "none"  # how None is written on the command line, for an option whose choices include it
_Options = TypeVar("_Options")


@dataclass(frozen=True)
class Check:
    """A condition on a value.

    Attributes:
        accepts: Whether a value meets it.
        message: The error message, after the option's name; ``{value}`` stands for the value.
    """

    accepts: Callable[[Any], bool]
    message: str


ABOVE_ZERO = Check(lambda value: value > 0, "must be above 0, not {value}")
NOT_NEGATIVE = Check(lambda value: value >= 0, "must not be negative, not {value}")
FINITE = Check(math.isfinite, "must be finite")
BELOW_ONE = Check(lambda value: 0 <= value < 1, "must be 0 to below 1, not {value}")
SEED = Check(lambda value: 0 <= value < SEEDS, f"must be 0 to {SEEDS - 1}")


def at_least(least: int) -> Check:
    """The check for ``least`` or more."""
    return Check(lambda value: value >= least, f"must be {least} or more")


def at_most(most: int) -> Check:
    """The check for ``most`` or less."""
    return Check(lambda value: value <= most, f"must be at most {most}, not {{value}}")


def option(
    default: Any,
    text: str,
    *checks: Check,
    choices: Sequence[str] | None = None,
    otherwise: str = "",
    metavar: str | None = None,
) -> Any:
    """A field of a dataclass that is an option of the command line as well.

    Args:
        default: The value where the command line does not name the option; False for one that takes no value.
        text: The option's help, to which the default is added.
        checks: What every value but None must meet.
        choices: The values that are allowed.
        otherwise: For a default of None, what decides the value then.
        metavar: How the help names the value.
    """
    metadata = {"text": text, "checks": checks, "choices": choices, "otherwise": otherwise, "metavar": metavar}
    return field(default=default, metadata=metadata)


def add_options(parser: argparse.ArgumentParser, options: type) -> None:
    """Add one argument for each field of a dataclass of options."""
    hints = typing.get_type_hints(options)
    for declared in fields(options):
        metadata = declared.metadata
        if hints[declared.name] is bool:
            parser.add_argument(_flag(declared), action="store_true", help=f"{metadata['text']} (default: no)")
            continue
        default = _NONE if _may_be_none(declared) else declared.default
        parser.add_argument(
            _flag(declared),
            type=_value_type(hints[declared.name]),
            default=default,
            choices=metadata["choices"],
            metavar=metadata["metavar"],
            help=f"{metadata['text']} (default: {metadata['otherwise'] or default})",
        )


def read_options(parser: argparse.ArgumentParser, args: argparse.Namespace, options: type[_Options]) -> _Options:
    """The dataclass with the command line's values; the first value that fails a check ends the program."""
    values = {}
    for declared in fields(options):  # type: ignore[arg-type]
        value = getattr(args, declared.name)
        if value == _NONE and _may_be_none(declared):
            value = None
        for check in declared.metadata["checks"]:
            if value is not None and not check.accepts(value):
                parser.error(f"{_flag(declared)} {check.message.format(value=value)}")
        values[declared.name] = value
    return options(**values)


def _flag(declared: Field[Any]) -> str:
    return "--" + declared.name.replace("_", "-")


def _may_be_none(declared: Field[Any]) -> bool:
    return declared.default is None and _NONE in (declared.metadata["choices"] or ())


def _value_type(hint: Any) -> Any:
    """The type of the values, ``int`` for ``int | None``."""
    if isinstance(hint, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    return hint
