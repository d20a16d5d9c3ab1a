"""Fetch a model's version folder from an archive in S3, in Google Cloud Storage or behind HTTPS.

For a pod's init container: it goes on after broken connections and restarts, checks the SHA-256, and makes the folder
in one step. MODEL_AUTHORIZATION may hold the header Authorization for HTTPS; S3 is asked with what boto3 finds, Google
Cloud Storage with the pod's identity.
"""

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from brain_tumor_client.command.exit_code import ExitCode, Fault
from brain_tumor_client.command.text import printable
from brain_tumor_client.errors import ModelAway, ModelError, ModelRefused
from brain_tumor_client.model_fetch.version import fetch, remote_of
from brain_tumor_client.sources import bucket


class _Stopped(BaseException):
    """A signal has come, wherever the program was."""


def run(arguments: argparse.Namespace) -> ExitCode:
    """Fetch what the arguments name.

    Raises:
        Fault: It cannot be fetched, or not in time.
    """
    try:
        remote = remote_of(arguments.archive)
    except ValueError as error:
        raise Fault(ExitCode.USAGE, f"The archive's address is none: {error}.") from None
    if arguments.archive.startswith(bucket.SCHEME) and not bucket.is_available():
        raise Fault(ExitCode.USAGE, "Buckets need boto3: pip install './client[s3]'.")
    _report(f"Fetching {remote.shown}")
    try:
        with _stopped_after(arguments.timeout):
            fetch(remote, arguments.out, arguments.sha256, arguments.max_bytes, _report)
    except _Stopped as stopped:
        if stopped.args == (signal.SIGTERM,):
            return ExitCode.TERMINATED
        message = f"There was no model after {arguments.timeout:g} seconds. Start it again: it goes on where it was."
        raise Fault(ExitCode.NOT_REACHABLE, message) from None
    except ModelError as error:
        raise Fault(_code(error), str(error)) from None
    except OSError as error:
        raise Fault(ExitCode.NOT_WRITTEN, f"{arguments.out} cannot be written: {error.strerror}.") from None
    _report(f"The model is at {arguments.out}")
    return ExitCode.ALL_CLASSIFIED


def _code(error: ModelError) -> ExitCode:
    if isinstance(error, ModelRefused):
        return ExitCode.KEY_REFUSED
    return ExitCode.NOT_REACHABLE if isinstance(error, ModelAway) else ExitCode.USAGE


def _report(text: str) -> None:
    print(f"brain-tumor: {printable(text)}", file=sys.stderr, flush=True)


@contextmanager
def _stopped_after(seconds: float) -> Iterator[None]:
    """End the block after so many seconds, whatever it waits for, and when the process shall end.

    A server may send a byte each minute, which no time limit for silence ends. As a container's first process this one
    gets only the signals that it handles.
    """

    def stop(number: int, _: FrameType | None) -> None:
        raise _Stopped(signal.Signals(number))

    before = {number: signal.signal(number, stop) for number in (signal.SIGALRM, signal.SIGTERM)}
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        for number, handler in before.items():
            signal.signal(number, handler)
