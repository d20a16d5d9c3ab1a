"""The error of everything that fetches, checks or reads images."""

from training.errors import TrainingError


class DataError(TrainingError):
    """The data set cannot be used; the message says what to change."""
