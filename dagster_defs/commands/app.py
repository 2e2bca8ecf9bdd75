"""What the commands share: the application, the terminal, and words that every command reads alike.

What belongs here: reading a home, a moment and a model's name. What does not: any command.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from dagster_defs.settings import Settings
from ml_assets.errors import PerennialError

if TYPE_CHECKING:
    from ml_assets.declaration.model import ModelDeclaration

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From a raw file to a model in production and back.",
)
# Bound to the terminal now: while a job runs, what its parts print goes to a file.
console = Console(file=sys.stdout, highlight=False)


def main() -> None:
    """Runs the command; an error that we know is one sentence, not a traceback."""
    try:
        app()
    except PerennialError as error:
        Console(stderr=True, highlight=False).print(f"[bold red]perennial:[/] {error}", soft_wrap=True)
        sys.exit(1)


def settings_of_home() -> Settings:
    settings = Settings().prepared()
    os.environ["PERENNIAL_HOME"] = str(settings.home)
    return settings


def moment_in(text: str) -> datetime:
    from ml_assets.feeds.nycflights13 import parse_through

    try:
        return parse_through(text)
    except ValueError as error:
        raise PerennialError(str(error)) from None


def declared(settings: Settings, model: str | None, *, is_tried: bool = True) -> dict[str, ModelDeclaration]:
    """Every declared model, or only the one that is asked for.

    Args:
        is_tried: whether each is also built once, to see that it can be; that takes the seconds of importing
            scikit-learn.
    """
    from dagster_defs.manifest import manifest_path
    from ml_assets.declaration.reader import read_declarations

    try_out = None
    if is_tried:
        from ml_assets.fitting.estimators import why_not_built as try_out
    declarations = read_declarations(manifest_path(settings), try_out=try_out)
    if model is None:
        return declarations
    if model not in declarations:
        raise PerennialError(f"no model {model} is declared; declared are {', '.join(declarations)}")
    return {model: declarations[model]}
