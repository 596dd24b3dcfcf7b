"""The `blush` command. `app` holds the table of commands and says how to add one."""

from blushcore.cli.app import main

__all__ = ["main"]
