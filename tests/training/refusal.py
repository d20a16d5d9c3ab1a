"""A command of training that ends with a message, for the tests that give it bad input."""

import re
from collections.abc import Callable, Sequence

import pytest


def assert_refused(
    main: Callable[[Sequence[str]], int], arguments: Sequence[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Assert that a command ends with status 1 and a message, given as a regular expression."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 1
    output = capsys.readouterr().err
    assert re.search(f"^python -m training\\.[a-z]+: .*{message}", output, re.MULTILINE), output
