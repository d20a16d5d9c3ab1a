"""The one error that ends a conversion when its input, and not the converter, is at fault."""


class ConversionError(Exception):
    """The model cannot be converted or published; the message is one line and says what to do."""
