"""What the commands share: the application, the terminal, and words that every command reads alike.

What belongs here: reading a home, a moment, a span of time and a model's name. What does not: any command.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import typer
from rich.console import Console

from dagster_defs.settings import Settings
from ml_assets.errors import PerennialError

if TYPE_CHECKING:
    from ml_assets.declaration.model import ModelDeclaration

_Read = TypeVar("_Read")

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


def moment_in(option: str, text: str) -> datetime:
    """The moment through which a stretch goes: of a date, the end of its day."""
    from ml_assets.moments import last_moment

    return _read(option, text, last_moment)


def start_in(option: str, text: str) -> datetime:
    """The moment from which a stretch goes: of a date, its first moment."""
    from ml_assets.moments import first_moment

    return _read(option, text, first_moment)


def span_in(option: str, text: str) -> timedelta:
    """A span of time such as `7 days`, `7d` or `2 months`."""
    from ml_assets.moments import parse_duration

    return _read(option, text, parse_duration)


def _read(option: str, text: str, reader: Callable[[str], _Read]) -> _Read:
    try:
        return reader(text)
    except ValueError as error:
        raise PerennialError(f"{option} {text}: {error}") from None


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


def domains_asked(settings: Settings, domains: Sequence[str] | None, models: Sequence[str] | None) -> set[str] | None:
    """The domains that are named, and those of the models that are; None if neither is said: all."""
    from dagster_defs.manifest import manifest_path
    from ml_assets.declaration.domains import read_domains

    if not domains and not models:
        return None
    known = read_domains(json.loads(manifest_path(settings).read_text()))
    for name in domains or ():
        if name not in known:
            raise PerennialError(f"no domain {name} is declared; declared are {', '.join(known) or 'none'}")
    return {*(domains or ()), *(one.domain.name for name in models or () for one in declared(settings, name).values())}
