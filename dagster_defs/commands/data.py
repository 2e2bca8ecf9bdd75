"""Commands on data: landing, running, working the past out anew, clearing up."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Annotated

import typer

from dagster_defs.commands.app import (
    app,
    console,
    declared,
    domains_asked,
    moment_in,
    settings_of_home,
    span_in,
    start_in,
)
from dagster_defs.commands.feeds import HOW_TO_BEGIN, declared_feeds, land_feed, what_has_landed
from dagster_defs.commands.running_jobs import run_whole_job, show_status_of
from ml_assets.errors import PerennialError


@app.command()
def land(
    through: Annotated[
        str | None,
        typer.Option(help="A date (its whole day) or a timestamp, UTC if it names no zone. Default: all there is."),
    ] = None,
    source: Annotated[list[str] | None, typer.Option(help="Only this source; may be repeated. Default: all.")] = None,
    domain: Annotated[list[str] | None, typer.Option(help="Only this domain; may be repeated. Default: all.")] = None,
) -> None:
    """Bring what the declared feeds have known by then to the landing folder; running again adds nothing."""
    settings = settings_of_home()
    moment = None if through is None else moment_in("--through", through)
    feeds = declared_feeds(settings, domains_asked(settings, domain, None), source)
    if not feeds:
        raise PerennialError(f"there is no feed to ask; {HOW_TO_BEGIN.format(landing=settings.landing)}")
    for feed in feeds:
        land_feed(settings, feed, moment)


@app.command()
def run(
    through: Annotated[
        str | None,
        typer.Option(help="Feeds land what was known by then. Default: what each declares, or all."),
    ] = None,
    live_days: Annotated[
        int,
        typer.Option(help="Days that then arrive, of a past that lands in steps; 0 for none.", max=60),
    ] = 7,
    model: Annotated[list[str] | None, typer.Option(help="Only this model; may be repeated. Default: all.")] = None,
    domain: Annotated[list[str] | None, typer.Option(help="Only this domain; may be repeated. Default: all.")] = None,
    no_land: Annotated[bool, typer.Option("--no-land", help="Ask no feed: work on what has landed.")] = False,
) -> None:
    """Land what the declared feeds have, run the whole graph on whatever has landed, and say what happened."""
    from dagster_defs.definitions import REFRESH_JOB, SCORE_JOB, build_definitions
    from dagster_defs.running import instance_of

    began = time.monotonic()
    settings = settings_of_home()
    moment = None if through is None else moment_in("--through", through)
    domains = domains_asked(settings, domain, model)
    feeds = [] if no_land else declared_feeds(settings, domains)
    for feed in feeds:
        land_feed(settings, feed, moment or feed.run_through)
    if not what_has_landed(settings, domains):
        raise PerennialError(f"nothing has landed; {HOW_TO_BEGIN.format(landing=settings.landing)}")
    with console.status("reading the dbt project"):
        definitions = build_definitions(settings, model or None)
    stepwise = [(feed, last) for feed in feeds if feed.feed.replayable and (last := moment or feed.run_through)]
    with instance_of(settings) as instance:
        title = "raw files to features, models, predictions"
        run_whole_job(settings, definitions, REFRESH_JOB, instance, title, domains=domains)
        if live_days > 0 and stepwise:
            for feed, last in stepwise:
                land_feed(settings, feed, last + timedelta(days=live_days))
            title = f"{live_days} more days arrive and are predicted"
            run_whole_job(settings, definitions, SCORE_JOB, instance, title, domains=domains)
    show_status_of(settings)
    up = "make up" if (settings.dbt_project.parent / "Makefile").is_file() else "perennial up"
    console.print(
        f"\nDone in {time.monotonic() - began:.0f} s. Next: [bold]{up}[/] for the Dagster UI, "
        "[bold]perennial status[/] at any time."
    )


@app.command()
def backfill(
    start: Annotated[str, typer.Option("--from", help="Tables are worked out anew from this date or moment on (UTC).")],
    through: Annotated[str, typer.Option(help="Decisions through this moment that nobody answered are answered.")],
    model: Annotated[list[str] | None, typer.Option(help="Only this model; may be repeated. Default: all.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
) -> None:
    """Work a stretch of the past out anew, and answer the decisions in it that nobody answered."""
    from dagster_defs.assets.backfill import BACKFILL_JOB, Span, run_config
    from dagster_defs.commands.prediction_counts import prediction_counts
    from dagster_defs.definitions import build_definitions
    from dagster_defs.running import instance_of
    from ml_assets.moments import text_of

    settings = settings_of_home()
    first, last = start_in("--from", start), moment_in("--through", through)
    Span(start=text_of(first), through=text_of(last)).moments()
    declarations = [one for name in model or [None] for one in declared(settings, name).values()]
    before = prediction_counts(settings, declarations, first, last)
    for name, (decisions, answered) in before.items():
        console.print(f"{name}: {decisions - answered:,} of {decisions:,} decisions have no prediction")
    if dry_run:
        console.print(f"Every table would be worked out anew from {first:%Y-%m-%d %H:%M} UTC on.")
        return
    with console.status("reading the dbt project"):
        definitions = build_definitions(settings, list(before))
    with instance_of(settings) as instance:
        title = f"the past from {first:%Y-%m-%d} through {last:%Y-%m-%d}"
        run_whole_job(settings, definitions, BACKFILL_JOB, instance, title, run_config(first, last))
    for name, (decisions, answered) in prediction_counts(settings, declarations, first, last).items():
        left = decisions - answered
        older = f"; {left:,} older than every champion have none" if left else ""
        console.print(f"{name}: {answered - before[name][1]:,} decisions answered after the fact{older}")


@app.command()
def sweep(
    older_than: Annotated[str, typer.Option(help="Keep what is younger: a reader may still be at it.")] = "7 days",
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it, only say what would be removed.")] = False,
) -> None:
    """Remove half-written files and those of earlier published states, which the catalog does not name any more.

    The cost files of each earlier day are put into one.
    """
    from dagster_defs.resources import build_home
    from ml_assets.lake.files import unfinished_files

    age = span_in("--older-than", older_than)
    settings, before = settings_of_home(), time.time() - age.total_seconds()
    half_written = (file for root in (settings.lake, settings.registry) for file in unfinished_files(root, before))
    home = build_home(settings)
    files = [*home.lake.unnamed_files(before), *half_written]
    size = sum(file.stat().st_size for file in files) / 1e6
    for file in files if yes else ():
        file.unlink()
    if yes:
        home.ledger.merge(before=home.now().date())
    done = "removed" if yes else "would be removed; --yes removes them"
    console.print(f"{len(files)} files of earlier states or half-written, {size:,.1f} MB: {done}")
