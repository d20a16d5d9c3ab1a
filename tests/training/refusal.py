"""A command of training that ends with a message, for the tests that give it bad input."""

import re
from collections.abc import Callable, Sequence

import pytest


def assert_refused(
    command: str,
    main: Callable[[Sequence[str]], int],
    arguments: Sequence[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Assert that a command ends with status 1 and a message.

    Args:
        command: The command's name, such as "evaluate".
        main: Its function.
        arguments: What it is called with.
        message: A regular expression that the message must match, after the command's name.
        capsys: What the test prints.
    """
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 1
    output = capsys.readouterr().err
    assert re.search(rf"^python -m training\.{command}: .*{message}", output, re.MULTILINE), output
