"""The one error that ends a conversion when its input, and not the converter, is at fault, and its one line."""

from collections.abc import Sequence

_LONGEST = 200  # characters of another library's message
_SAYS_NOTHING = ("", "Graph execution error:")  # TensorFlow's first line


class ConversionError(Exception):
    """The model cannot be converted or published; the message is one line and says what to do."""


class SeveralError(ConversionError):
    """A model has several inputs, outputs or signatures, and the description names none of them.

    Args:
        part: "input", "output" or "signature".
        names: The names that it has.
    """

    def __init__(self, part: str, names: Sequence[str]) -> None:
        super().__init__(
            f"the model has the {part}s {', '.join(names)}; name one under source.{part} in the description"
        )
        self.part = part
        self.names = tuple(names)


def one_line(error: Exception | str, longest: int = _LONGEST) -> str:
    """What another library's error says, as part of a line."""
    message = str(getattr(error, "message", error))
    lines = (" ".join(line.split()) for line in message.splitlines())
    return next((line[:longest] for line in lines if line not in _SAYS_NOTHING), "unknown reason")
