"""Commands that write the first version of a project's own files, or take a domain's away.

What belongs here: words in, a plan shown or carried out. What does not: what is written (`dagster_defs/scaffolding/`).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_defs.commands.app import app, console, settings_of_home, start_in
from dagster_defs.settings import Settings
from ml_assets.errors import PerennialError

if TYPE_CHECKING:
    from dagster_defs.scaffolding.writing import Plan

new_app = typer.Typer(no_args_is_help=True, help="Write a source, features, a model or a project, ready to edit.")
app.add_typer(new_app, name="new")

Force = Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be written.")]


class FeatureKind(StrEnum):
    """What a feature table holds."""

    accumulator = "accumulator"
    state = "state"


class Step(StrEnum):
    """How often something comes."""

    hour = "hour"
    day = "day"
    week = "week"
    month = "month"


@new_app.command()
def source(
    files: Annotated[
        list[Path], typer.Argument(help="CSV, Parquet, JSON lines; names that differ in numbers: one table.")
    ],
    name: Annotated[str | None, typer.Option("--source", help="Its name. Default: that of the files' folder.")] = None,
    domain: Annotated[str | None, typer.Option(help="Its domain, made if new. Default: the source's name.")] = None,
    key: Annotated[
        list[str] | None, typer.Option(help="Columns that make a row unique: a,b or table:a,b. Default: proposed.")
    ] = None,
    known_at: Annotated[
        list[str] | None, typer.Option(help="Column that says when a row was known: a or table:a. Default: proposed.")
    ] = None,
    every: Annotated[
        Step, typer.Option(help="How often files come or decisions are made: when a new domain's tables are late.")
    ] = Step.day,
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Look at files, and write their landing contract, the models that read them, and their domain's own tables."""
    from dagster_defs.scaffolding.looking import look_at, tables_in
    from dagster_defs.scaffolding.sources import plan_source
    from dagster_defs.scaffolding.writing import as_name, name_of

    settings = settings_of_home()
    files = [Path(os.path.normpath(file.absolute())) for file in files]
    folders = {file.parent for file in files}
    if len(folders) > 1:
        raise PerennialError(f"the files lie in {len(folders)} folders; a source's files lie in one")
    (folder,) = folders
    name = name_of(name or as_name(folder.name), "--source")
    domain = name_of(domain or name, "--domain")
    tables = tables_in(files)
    keys, moments = _by_table("--key", key, tables), _by_table("--known-at", known_at, tables)
    seen = []
    for table, of_table in tables.items():
        with console.status(f"looking at {table}"):
            moment = moments.get(table)
            columns = keys[table].split(",") if table in keys else None
            seen.append(look_at(table, of_table, [one.strip() for one in columns or ()] or None, moment))
    plan = plan_source(settings.dbt_project, name, domain, folder, seen, every.value)
    _carry_out(plan, force, dry_run, "Read what was written, then: perennial run")


@new_app.command()
def features(
    name: Annotated[str, typer.Argument(help="What they are of; the table is ftr_<entity>__<name>.")],
    read_from: Annotated[str, typer.Option("--from", help="The staging model that they are counted from.")],
    entity: Annotated[str, typer.Option(help="Columns that they are kept by: a or a,b.")],
    kind: Annotated[
        FeatureKind, typer.Option(help="accumulator: counts and sums over windows; state: what was last known.")
    ] = FeatureKind.accumulator,
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Write a feature table and its contract."""
    from dagster_defs.scaffolding.features import plan_features
    from dagster_defs.scaffolding.staged import staged
    from dagster_defs.scaffolding.writing import name_of

    settings = settings_of_home()
    found = staged(_manifest(settings), read_from)
    plan = plan_features(settings.dbt_project, name_of(name, "name"), found, _columns(entity), kind.value)
    _carry_out(plan, force, dry_run, "Read what was written, then name it in a model: perennial new model --features")


@new_app.command()
def model(
    name: Annotated[str, typer.Argument(help="Its name; the training set is trn_<name>.")],
    read_from: Annotated[
        str, typer.Option("--from", help="The staging model with one row per decision; with --every, of what is seen.")
    ],
    entity: Annotated[str, typer.Option(help="Columns that say what is decided about: a or a,b.")],
    every: Annotated[
        Step | None, typer.Option(help="Decide about all seen so far at each of these. Default: once per row.")
    ] = None,
    starting: Annotated[
        str | None, typer.Option(help="With --every: the first decision (UTC), so also which weekday or hour.")
    ] = None,
    decision: Annotated[
        str | None, typer.Option(help="Without --every: the column that says when it is due. Default: known_at.")
    ] = None,
    features: Annotated[list[str] | None, typer.Option(help="A feature table; may be repeated.")] = None,
    windows: Annotated[
        list[str] | None, typer.Option(help="What is counted over: '7 days, 28 days'. Default: these.")
    ] = None,
    label: Annotated[str, typer.Option(help="The column that is foreseen.")] = "outcome",
    label_from: Annotated[
        str | None,
        typer.Option(help="The staging model that tells it. Default: left open, or with --every that of --from."),
    ] = None,
    outcome: Annotated[
        str | None, typer.Option(help="With --every: what it is of the rows within: any, count or sum:COLUMN.")
    ] = None,
    within: Annotated[str | None, typer.Option(help="With --every: how far ahead is foreseen: '28 days'.")] = None,
    happened_at: Annotated[
        str | None, typer.Option(help="With --every: the column that says when. Default: that of the source's time.")
    ] = None,
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Write a model: its decisions, its training set joined to what was known by then, and its declaration."""
    from dagster_defs.scaffolding.calendars import Calendar, plan_calendar_model
    from dagster_defs.scaffolding.joined import windows_in
    from dagster_defs.scaffolding.models import Wanted, plan_model
    from dagster_defs.scaffolding.staged import staged
    from dagster_defs.scaffolding.writing import name_of

    of_calendar = {"--starting": starting, "--outcome": outcome, "--within": within, "--happened-at": happened_at}
    if every is None and (said := [option for option, value in of_calendar.items() if value is not None]):
        raise PerennialError(f"{', '.join(said)}: only with --every hour, day, week or month")
    if every is not None and decision is not None:
        raise PerennialError("--decision and --every: a model decides once per row, or by the calendar; leave one out")
    if every is not None and (outcome is None or within is None):
        raise PerennialError("--every: say also what is foreseen and how far ahead: --outcome any --within '28 days'")
    settings = settings_of_home()
    manifest = _manifest(settings)
    wanted = Wanted(
        name=name_of(name, "name"),
        decided=staged(manifest, read_from),
        entity=tuple(_columns(entity)),
        features=tuple(features or ()),
        windows=windows_in("--windows", windows or ["7 days, 28 days"]),
        label=name_of(label, "--label"),
        label_from=label_from,
    )
    if every is None:
        plan = plan_model(settings.dbt_project, manifest, wanted, decision or "known_at")
    else:
        (ahead,) = windows_in("--within", [within or ""])
        first = None if starting is None else start_in("--starting", starting)
        calendar = Calendar(every.value, first, outcome or "", ahead, happened_at)
        plan = plan_calendar_model(settings.dbt_project, manifest, wanted, calendar)
    _carry_out(plan, force, dry_run, "Read what was written, then: perennial run")


@new_app.command()
def project(
    folder: Annotated[Path, typer.Argument(help="Where to; a new folder.")],
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Write a project without any domain, which runs with the installed packages."""
    from dagster_defs.scaffolding.projects import plan_project
    from dagster_defs.settings import PROJECT_ROOT

    plan = plan_project(folder.absolute(), PROJECT_ROOT / "dbt_project")
    _carry_out(plan, force, dry_run, f"Next: cd {folder}; perennial new source FILES; perennial run")


@app.command(name="remove-domain")
def remove_domain(
    domain: Annotated[str, typer.Argument(help="Its name.")],
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it, only say what would be removed.")] = False,
) -> None:
    """Remove a domain's folders from the dbt project, and say what is left of it."""
    from dagster_defs.scaffolding.projects import plan_removal

    settings = settings_of_home()
    removal = plan_removal(settings.dbt_project, domain, settings.landing)
    for folder in removal.folders:
        console.print(f"  {folder.relative_to(settings.dbt_project)}/", soft_wrap=True)
        if yes:
            shutil.rmtree(folder)
    done = "removed" if yes else "would be removed; --yes removes them"
    console.print(f"{len(removal.folders)} folders with {removal.files} files of {domain}: {done}")
    for one in removal.left:
        console.print(f"  left: {one}", soft_wrap=True)


def _manifest(settings: Settings) -> dict[str, Any]:
    from dagster_defs.manifest import manifest_path

    return json.loads(manifest_path(settings).read_text())


def _columns(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _by_table(option: str, said: Sequence[str] | None, tables: Sequence[str] | dict[str, list[Path]]) -> dict[str, str]:
    """What was said of each table; without a name before the colon it is said of the only one."""
    found: dict[str, str] = {}
    for one in said or ():
        table, colon, value = one.partition(":")
        if not colon:
            if len(tables) > 1:
                raise PerennialError(f"{option} {one}: of which table? Say table:columns; of {', '.join(tables)}")
            table, value = next(iter(tables)), one
        if table not in tables:
            raise PerennialError(f"{option} {one}: there is no table {table}; there are {', '.join(tables)}")
        found[table] = value
    return found


def _carry_out(plan: Plan, force: bool, dry_run: bool, then: str) -> None:
    if not dry_run:
        plan.write(force)
    for path in [*plan.new, *plan.changed]:
        what = "a line more" if path in plan.changed else "new"
        console.print(f"  {path} [dim]{what}[/]", soft_wrap=True)
    for note in plan.notes:
        console.print(f"[yellow]{note}[/]", soft_wrap=True)
    count = len(plan.new) + len(plan.changed)
    done = f"{count} files in {plan.root}"
    console.print(f"{done}: nothing was written" if dry_run else f"{done}. {then}", soft_wrap=True)
