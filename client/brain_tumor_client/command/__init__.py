"""The command ``brain-tumor``: one module for each subcommand."""

from brain_tumor_client.command.main import main

__all__ = ["main"]
