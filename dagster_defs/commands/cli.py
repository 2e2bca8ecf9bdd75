"""The command `perennial`: every command by its name, in the order in which the help lists them.

What belongs here: bringing the commands together. What does not: any command, or anything that a sensor or the UI would
need as well.
"""

from dagster_defs.commands import data, lives, models, new, overview, serve
from dagster_defs.commands.app import app, main

__all__ = ["app", "data", "lives", "main", "models", "new", "overview", "serve"]
