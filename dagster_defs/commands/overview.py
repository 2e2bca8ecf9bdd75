"""Commands that look: how everything stands, and what it has cost."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from dagster_defs.commands.app import app, console, settings_of_home, span_in


class CostsBy(StrEnum):
    """What costs can be added up over."""

    asset = "asset"
    run = "run"
    job = "job"


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """How far the data go, who is champion and how good, the last decision and why, and whether the checks hold."""
    from dagster_defs.commands.status import gather_status
    from dagster_defs.commands.status_words import show_status

    answer = gather_status(settings_of_home())
    if as_json:
        typer.echo(json.dumps(answer, indent=2, default=str))
    else:
        show_status(answer, console)


@app.command()
def costs(
    within: Annotated[str, typer.Option(help="How far back.")] = "1 day",
    by: Annotated[CostsBy, typer.Option(help="What to add up over.")] = CostsBy.asset,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """What every asset and run has taken, the dearest first, and what is left of the budget."""
    from datetime import UTC, datetime

    from dagster_defs.commands.tables import costs_table
    from dagster_defs.home_folder import folder_of
    from ml_assets.lake.ledger import totals

    span = span_in("--within", within)
    home, now = folder_of(settings_of_home()), datetime.now(UTC)
    lines = totals(home.ledger.read(now - span), by.value)
    spending = home.spending(now)
    if as_json:
        typer.echo(json.dumps({"totals": [asdict(line) for line in lines], "budget": spending and spending.text}))
        return
    console.print(costs_table(lines) if lines else f"nothing has run within {within}")
    console.print(spending.text if spending else "No budget is set (PERENNIAL_BUDGET_CPU_SECONDS).")
