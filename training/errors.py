"""The errors that end a command with a message; a module of its own, so that no import of it waits for TensorFlow."""


class TrainingError(Exception):
    """An error that the user can mend; the message says how."""
