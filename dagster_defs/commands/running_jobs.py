"""Running a job with progress that a person can follow.

What belongs here: what the terminal shows meanwhile. What does not: the running itself (`dagster_defs.running`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from typing import Any

from dagster_defs.commands.app import console
from dagster_defs.settings import Settings


def show_status_of(settings: Settings) -> None:
    from dagster_defs.commands.status import gather_status
    from dagster_defs.commands.status_words import show_status

    show_status(gather_status(settings), console)


def run_whole_job(
    settings: Settings,
    definitions: Any,
    job: str,
    instance: Any,
    title: str,
    config: dict[str, Any] | None = None,
    domains: Collection[str] | None = None,
) -> None:
    """Runs a job of the definitions; with `domains`, what of it belongs to these or to the core."""
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

        run_job(
            definitions,
            job,
            instance,
            report,
            settings.home / "runs.log",
            selection=None if domains is None else keys_of(settings, definitions, job, domains),
            tags=tags if domains is None else None,  # a part of the job has not read all that has landed
            config=config,
            with_checks=True,
        )
    console.print(f"[green]done[/] {title}: {count} assets in {time.monotonic() - began:.0f} s")


def keys_of(settings: Settings, definitions: Any, job: str, domains: Collection[str]) -> list[Any]:
    """The assets of a job that belong to these domains, and those of the core, which every domain stands on."""
    from dagster_defs.manifest import manifest_path
    from ml_assets.declaration.domains import CORE, domain_of
    from ml_assets.declaration.reader import read_declarations

    manifest = json.loads(manifest_path(settings).read_text())
    models = {name: one.domain.name for name, one in read_declarations(manifest).items()}
    wanted = definitions.resolve_job_def(job).asset_layer.executable_asset_keys
    chosen = []
    for spec in definitions.resolve_all_asset_specs():
        node = manifest["nodes"].get(spec.metadata.get("dagster_dbt/unique_id"))
        domain = domain_of(node) if node else models.get(spec.key.path[0], CORE)
        if spec.key in wanted and domain in (*domains, CORE):
            chosen.append(spec.key)
    return chosen
