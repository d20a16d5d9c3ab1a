"""What a person is told, and can do something about."""


class CanaryError(Exception):
    """It did not work, and the message says why."""


class RefusedError(CanaryError):
    """It was not done, because the canary has not shown what its bounds ask for."""
