"""``brain-tumor model``: which model is served, as JSON."""

import argparse
import asyncio
import dataclasses
import json

from brain_tumor_client.async_client import AsyncClient
from brain_tumor_client.command.exit_code import ExitCode
from brain_tumor_client.command.service import QUICK, client_of, fault_of
from brain_tumor_client.errors import ClientError
from brain_tumor_client.prediction import Model


def run(arguments: argparse.Namespace) -> ExitCode:
    """Print the model.

    Raises:
        Fault: The service does not say.
    """
    try:
        model = asyncio.run(_model(client_of(arguments)))
    except ClientError as error:
        raise fault_of(error) from None
    print(json.dumps(dataclasses.asdict(model), indent=1))
    return ExitCode.ALL_CLASSIFIED


async def _model(client: AsyncClient) -> Model:
    async with client:
        return await client.model(retry=QUICK)
