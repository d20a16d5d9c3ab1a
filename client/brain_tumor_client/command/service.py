"""The client that the options of a command describe, and its errors as exit codes."""

import argparse
import sys
from urllib.parse import urlsplit

from brain_tumor_client.async_client import AsyncClient
from brain_tumor_client.command.exit_code import ExitCode, Fault
from brain_tumor_client.errors import ClientError, KeyRefused, PlaceUnreadable
from brain_tumor_client.retry import Retry

QUICK = Retry(attempts=3, patience=10.0)  # for the first request: who has mistyped the URL should not wait
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def client_of(arguments: argparse.Namespace) -> AsyncClient:
    """Make the client.

    Raises:
        Fault: The URL or the key is none.
    """
    try:
        client = AsyncClient(
            arguments.url,
            api_key=arguments.api_key,
            timeout=arguments.timeout,
            retry=Retry(attempts=arguments.attempts, patience=arguments.patience),
        )
    except ValueError as error:
        raise Fault(ExitCode.USAGE, str(error)) from None
    parts = urlsplit(client.url)
    if arguments.api_key and parts.scheme == "http" and parts.hostname not in _THIS_MACHINE:
        print("brain-tumor: warning: the API key and the images travel unencrypted; use https", file=sys.stderr)
    return client


def fault_of(error: ClientError) -> Fault:
    """An error that concerns the service or a bucket as a whole, with its exit code."""
    if isinstance(error, PlaceUnreadable) and not error.temporary:
        return Fault(ExitCode.USAGE, str(error))
    if isinstance(error, KeyRefused):
        return Fault(ExitCode.KEY_REFUSED, f"{error} Give the key in BRAIN_TUMOR_API_KEY.")
    return Fault(ExitCode.NOT_REACHABLE, str(error))
