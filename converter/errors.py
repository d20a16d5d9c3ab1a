"""The one error a conversion ends with when its input, and not the program, is at fault."""


class ConversionError(Exception):
    """The model cannot be converted or published; the message is one line and says what to do."""
