"""The one error that ends a conversion when its input, and not the converter, is at fault."""

from collections.abc import Sequence


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
