"""Text for a terminal: a file name cannot move its cursor or colour it."""


def printable(text: str) -> str:
    """The text with each character that does not print written as an escape."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
