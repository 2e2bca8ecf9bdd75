"""The command `perennial`: every command by its name, in the order in which the help lists them.

What belongs here: bringing the commands together, overview first. What does not: any command, or anything that a sensor
or the UI would need as well.
"""

from dagster_defs.commands import data, lives, models, new, overview, serve
from dagster_defs.commands.app import app, main

__all__ = ["app", "data", "lives", "main", "models", "new", "overview", "serve"]

# First what looks and serves, then what is done with data, then models, then stretches of time.
ORDER = (
    "status", "up", "run", "land", "why", "decisions", "rollback", "costs",
    "backtest", "replay", "demo", "backfill", "sweep", "remove-domain", "new",
)  # fmt: skip


def _place(name: str | None) -> int:
    """One that is not named comes last."""
    return ORDER.index(name) if name in ORDER else len(ORDER)


app.registered_commands.sort(key=lambda command: _place(command.name or getattr(command.callback, "__name__", None)))

if __name__ == "__main__":
    main()
