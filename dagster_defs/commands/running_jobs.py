"""Running a job with progress that a person can follow.

What belongs here: what the terminal shows meanwhile. What does not: the running itself (`dagster_defs.running`).
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from dagster_defs.commands.app import console
from dagster_defs.settings import Settings


def land_through(settings: Settings, through: datetime) -> None:
    from ml_assets.feeds.nycflights13 import land as land_flights

    with console.status(f"landing what was known through {through:%Y-%m-%d %H:%M} UTC") as status:
        report = land_flights(
            settings.landing,
            through,
            progress=lambda label, done, total: status.update(f"landing {label} {done}/{total}"),
        )
    console.print(f"[green]landed[/] {report.note}")


def show_status_of(settings: Settings) -> None:
    from dagster_defs.commands.status import gather_status
    from dagster_defs.commands.status_words import show_status

    show_status(gather_status(settings), console)


def run_whole_job(
    settings: Settings, definitions: Any, job: str, instance: Any, title: str, config: dict[str, Any] | None = None
) -> None:
    from dagster_defs.assets.priorities import ASKED_BY_TAG
    from dagster_defs.automation.landing import LANDING_TAG
    from dagster_defs.landing_folder import landing_state
    from dagster_defs.running import run_job

    began = time.monotonic()
    count = 0
    tags = {LANDING_TAG: landing_state(settings.landing).digest, ASKED_BY_TAG: "a command"}
    with console.status(title) as status:

        def report(line: str) -> None:
            nonlocal count
            count += 1
            if "/" in line and not line.startswith("FAILED"):
                console.print(f"  [green]made[/] {line} [dim]after {time.monotonic() - began:.0f} s[/]")
            status.update(f"{title}: {count} assets, {line}")

        run_job(definitions, job, instance, report, settings.home / "runs.log", tags=tags, config=config)
    console.print(f"[green]done[/] {title}: {count} assets in {time.monotonic() - began:.0f} s")
