"""What the command's exit codes mean; docs/client.md has the table."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended."""

    ALL_CLASSIFIED = 0
    SOME_FAILED = 1
    USAGE = 2
    NOT_REACHABLE = 3
    KEY_REFUSED = 4
    NOT_WRITTEN = 5
    TAKEN = 6
    INTERRUPTED = 130
    TERMINATED = 143


class Fault(Exception):
    """Ends the command with an exit code. The message says what to do."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
