"""The command `perennial`: thin, and at the top of the house.

What belongs here: words in, words out. What does not: anything that a sensor or the UI would need as well.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from dagster_defs.settings import PROJECT_ROOT, Settings
from ml_assets.errors import PerennialError
from ml_assets.model_declaration import ModelDeclaration


class CostsBy(StrEnum):
    """What costs can be added up over."""

    asset = "asset"
    run = "run"
    job = "job"


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


def _settings() -> Settings:
    settings = Settings().prepared()
    os.environ["PERENNIAL_HOME"] = str(settings.home)
    return settings


def _moment(text: str) -> datetime:
    from ml_assets.feeds.nycflights13 import parse_through

    try:
        return parse_through(text)
    except ValueError as error:
        raise PerennialError(str(error)) from None


def _declared(settings: Settings, model: str | None) -> dict[str, ModelDeclaration]:
    """Every declared model, or only the one that is asked for."""
    from dagster_defs.manifest import manifest_path
    from ml_assets.declaration import read_declarations

    declarations = read_declarations(manifest_path(settings))
    if model is None:
        return declarations
    if model not in declarations:
        raise PerennialError(f"no model {model} is declared; declared are {', '.join(declarations)}")
    return {model: declarations[model]}


def _land(settings: Settings, through: datetime) -> None:
    from ml_assets.feeds.nycflights13 import land as land_flights

    with console.status(f"landing what was known through {through:%Y-%m-%d %H:%M} UTC") as status:
        report = land_flights(
            settings.landing,
            through,
            progress=lambda label, done, total: status.update(f"landing {label} {done}/{total}"),
        )
    console.print(f"[green]landed[/] {report.note}")


@app.command()
def land(
    through: Annotated[str, typer.Option(help="A date (its whole day) or a timestamp; UTC unless it says otherwise.")],
) -> None:
    """Write to the landing folder what had become known of the flights of 2013 by then; running again adds nothing."""
    _land(_settings(), _moment(through))


@app.command()
def run(
    through: Annotated[str, typer.Option(help="Train on what was known through this date.")] = "2013-10-31",
    live_days: Annotated[
        int, typer.Option(help="Days that then arrive and are predicted by the champion; 0 for none.", min=0, max=60)
    ] = 7,
) -> None:
    """Land the flights, run the whole graph, let some days arrive, and say what happened."""
    from dagster_defs.definitions import REFRESH_JOB, SCORE_JOB, build_definitions
    from dagster_defs.running import instance_of

    began = time.monotonic()
    settings = _settings()
    moment = _moment(through)
    _land(settings, moment)
    with console.status("reading the dbt project"):
        definitions = build_definitions(settings)
    with instance_of(settings) as instance:
        _run_job(settings, definitions, REFRESH_JOB, instance, "raw files to features, models, predictions")
        if live_days:
            _land(settings, moment + timedelta(days=live_days))
            _run_job(settings, definitions, SCORE_JOB, instance, f"{live_days} more days arrive and are predicted")
    _show(settings)
    console.print(
        f"\nDone in {time.monotonic() - began:.0f} s. Next: [bold]make up[/] for the Dagster UI, "
        "[bold]perennial status[/] at any time."
    )


def _show(settings: Settings) -> None:
    from dagster_defs.status import gather_status, show_status

    show_status(gather_status(settings), console)


def _run_job(
    settings: Settings, definitions: Any, job: str, instance: Any, title: str, config: dict[str, Any] | None = None
) -> None:
    from dagster_defs.automation import LANDING_TAG, landing_state
    from dagster_defs.running import run_job

    began = time.monotonic()
    count = 0
    tags = {LANDING_TAG: landing_state(settings.landing).digest}
    with console.status(title) as status:

        def report(line: str) -> None:
            nonlocal count
            count += 1
            if "/" in line and not line.startswith("FAILED"):
                console.print(f"  [green]made[/] {line} [dim]after {time.monotonic() - began:.0f} s[/]")
            status.update(f"{title}: {count} assets, {line}")

        run_job(definitions, job, instance, report, settings.home / "runs.log", tags=tags, config=config)
    console.print(f"[green]done[/] {title}: {count} assets in {time.monotonic() - began:.0f} s")


@app.command()
def backfill(
    start: Annotated[str, typer.Option("--from", help="Tables are worked out anew from this date or moment on (UTC).")],
    through: Annotated[str, typer.Option(help="Decisions through this moment that nobody answered are answered.")],
    model: Annotated[list[str] | None, typer.Option(help="Only this model; may be repeated. Default: all.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
) -> None:
    """Work a stretch of the past out anew, and answer the decisions in it that nobody answered."""
    from dagster_defs.backfill import BACKFILL_JOB, Span, run_config
    from dagster_defs.definitions import build_definitions
    from dagster_defs.running import instance_of
    from dagster_defs.status import prediction_counts
    from ml_assets.moments import moment_of, text_of

    settings = _settings()
    try:
        first = moment_of(start)
    except ValueError:
        raise PerennialError(f"--from {start}: give a date such as 2013-05-01, or a timestamp") from None
    last = _moment(through)
    Span(start=text_of(first), through=text_of(last)).moments()
    declarations = [one for name in model or [None] for one in _declared(settings, name).values()]
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
        _run_job(settings, definitions, BACKFILL_JOB, instance, title, run_config(first, last))
    for name, (decisions, answered) in prediction_counts(settings, declarations, first, last).items():
        left = decisions - answered
        older = f"; {left:,} older than every champion have none" if left else ""
        console.print(f"{name}: {answered - before[name][1]:,} decisions answered after the fact{older}")


@app.command()
def up(port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000) -> None:
    """Serve the Dagster UI on localhost, until Ctrl-C."""
    from dagster_defs.running import prepare_dagster_home

    settings = _settings()
    prepare_dagster_home(settings)
    dagster = str(Path(sys.executable).parent / "dagster")
    console.print(f"Dagster UI: [bold]http://127.0.0.1:{port}[/]  (Ctrl-C ends it)")
    sys.stdout.flush()
    os.chdir(PROJECT_ROOT)
    os.execv(  # noqa: S606 the server takes this process's place
        dagster,
        [dagster, "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)],
    )


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """How far the data go, who is champion and how good, the last decision and why, and whether the checks hold."""
    from dagster_defs.status import gather_status, show_status

    answer = gather_status(_settings())
    if as_json:
        typer.echo(json.dumps(answer, indent=2, default=str))
    else:
        show_status(answer, console)


@app.command()
def rollback(
    model: Annotated[str, typer.Argument(help="Name of a declared model.")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the decision log.")] = "asked for by hand",
) -> None:
    """Put the previous champion back."""
    from dagster_defs.resources import build_home
    from ml_assets import lifecycle

    settings = _settings()
    _declared(settings, model)
    home = build_home(settings)
    result = lifecycle.rollback(home.registry, home.decision_log, model, now=home.now, reason=reason)
    console.print(
        f"{model}: version {result.champion.version} is champion again, version {result.previous.version} is not."
    )


@app.command()
def decisions(model: Annotated[str | None, typer.Argument(help="Only of this model.")] = None) -> None:
    """Every decision about a model, oldest first."""
    from dagster_defs.resources import build_home

    settings = _settings()
    lines = build_home(settings).decision_log.read()
    if model and model not in {decision.model for decision in lines}:
        _declared(settings, model)
    table = Table(box=None, header_style="bold")
    for heading in ("#", "as of", "model", "kind", "verdict", "version"):
        table.add_column(heading)
    for decision in lines:
        if model in (None, decision.model):
            table.add_row(
                str(decision.sequence),
                str(decision.as_of),
                decision.model,
                decision.kind,
                decision.verdict,
                str(decision.version),
            )
    console.print(table)


@app.command()
def why(
    model: Annotated[str, typer.Argument(help="Name of a declared model.")],
    version: Annotated[int | None, typer.Argument(help="Which version; default: the champion.")] = None,
) -> None:
    """Why a version was trained, what it learned from, how it was judged and what became of it, in plain words."""
    from dagster_defs.resources import build_home
    from ml_assets.story import tell_version

    settings = _settings()
    declaration = _declared(settings, model)[model]
    home = build_home(settings)
    champion = home.registry.champion(model)
    if version is None and champion is None:
        raise PerennialError(f"{model} has no champion yet; perennial run trains one, or name a version")
    chosen = home.registry.get(model, version) if version is not None else champion
    assert chosen is not None
    story = tell_version(
        home.lake, declaration, chosen, home.decision_log.read(), champion.version if champion else None
    )
    console.print(story, soft_wrap=True, markup=False)


@app.command()
def costs(
    within: Annotated[str, typer.Option(help="How far back.")] = "1 day",
    by: Annotated[CostsBy, typer.Option(help="What to add up over.")] = CostsBy.asset,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """What every asset and run has taken, the dearest first, and what is left of the budget."""
    from dagster_defs.resources import build_home
    from dagster_defs.status import costs_table
    from ml_assets.ledger import totals
    from ml_assets.moments import parse_duration

    try:
        span = parse_duration(within)
    except ValueError as error:
        raise PerennialError(f"--within {within}: {error}") from None
    home = build_home(_settings())
    lines = totals(home.ledger.read(home.now() - span), by.value)
    spending = home.spending()
    if as_json:
        typer.echo(json.dumps({"totals": [asdict(line) for line in lines], "budget": spending and spending.text}))
        return
    console.print(costs_table(lines) if lines else f"nothing has run within {within}")
    console.print(spending.text if spending else "No budget is set (PERENNIAL_BUDGET_CPU_SECONDS).")


@app.command()
def sweep(
    older_than: Annotated[str, typer.Option(help="Keep what is younger: a reader may still be at it.")] = "7 days",
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it, only say what would be removed.")] = False,
) -> None:
    """Remove half-written files and those of earlier published states, which the catalog does not name any more; put the
    cost files of each earlier day into one.
    """
    from dagster_defs.resources import build_home
    from ml_assets.lake import unfinished_files
    from ml_assets.moments import parse_duration

    try:
        age = parse_duration(older_than)
    except ValueError as error:
        raise PerennialError(f"--older-than {older_than}: {error}") from None
    settings, before = _settings(), time.time() - age.total_seconds()
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


@app.command()
def backtest(
    model: Annotated[str | None, typer.Argument(help="Only this model.")] = None,
    every: Annotated[int, typer.Option(help="Days between two trainings.", min=1)] = 7,
    through: Annotated[str | None, typer.Option(help="Last moment judged; default: all that is known.")] = None,
) -> None:
    """How a model would have done, retrained again and again on what was known, with its baselines beside it."""
    from dagster_defs.resources import build_home
    from dagster_defs.status import scores_table
    from ml_assets import lifecycle

    settings = _settings()
    end = _moment(through) if through else None
    home = build_home(settings)
    for name, declaration in _declared(settings, model).items():
        with console.status(f"{name}: backtest") as progress:
            result = lifecycle.run_backtest(
                home.lake,
                declaration,
                every=timedelta(days=every),
                through=end,
                progress=lambda what, done, of, name=name, bar=progress: bar.update(f"{name}: {what} {done}/{of}"),
            )
        console.print(f"[bold]{name}[/], retrained every {every} days")
        console.print(scores_table(f"{len(result.origins)} trainings", _overall(result.scores)))


@app.command()
def replay(
    start: Annotated[str, typer.Option("--from", help="The first models are trained on what was known by then.")],
    through: Annotated[str, typer.Option(help="The last moment that lands.")],
    every: Annotated[str, typer.Option(help="How much lands at once, such as 7d or 1d.")] = "7d",
    model: Annotated[list[str] | None, typer.Option(help="Only this model; may be repeated. Default: all.")] = None,
    home: Annotated[
        Path | None, typer.Option(help="Where it lives; default: replay/ in the home. Never your own.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Forget an earlier replay there and begin anew.")] = False,
) -> None:
    """Live through a stretch of the past, step by step and untouched, and report on it."""
    import shutil

    from dagster_defs.replay import STEPS, compare_lives, read_steps, replay_steps, write_report
    from dagster_defs.replay import replay as live_through
    from dagster_defs.resources import build_home
    from ml_assets.feeds.nycflights13 import land as land_flights
    from ml_assets.moments import parse_duration

    settings = _settings()
    place = (home or settings.home / "replay").absolute()
    if again and (place / STEPS).exists():
        shutil.rmtree(place)
    elif place.exists() and any(place.iterdir()) and not (place / STEPS).exists():
        raise PerennialError(f"{place} holds something that is no replay; name another folder with --home")
    settings = settings.model_copy(update={"home": place}).prepared()
    os.environ["PERENNIAL_HOME"] = str(place)
    moments = replay_steps(_moment(start), _moment(through), parse_duration(every.replace("d", " days")))
    lived = read_steps(place)
    if [step.through[:16] for step in lived] != [f"{moment:%Y-%m-%dT%H:%M}" for moment in moments[: len(lived)]]:
        raise PerennialError(f"{place} holds another replay; --again forgets it, --home names another folder")
    declarations = _declared(settings, None)
    unknown = [name for name in model or () if name not in declarations]
    if unknown:
        raise PerennialError(f"no model {', '.join(unknown)} is declared; declared are {', '.join(declarations)}")
    chosen = model or list(declarations)
    console.print(f"replaying {len(moments)} steps of {', '.join(chosen)} in {place}")
    (place / STEPS).touch()
    steps = live_through(
        settings,
        lambda moment: land_flights(settings.landing, moment),
        moments,
        chosen,
        lambda line: console.print(f"  {line}"),
    )
    standing = build_home(settings)
    reports = []
    for name in chosen:
        with console.status(f"{name}: what other lives would have come to") as bar:
            reports.append(
                compare_lives(
                    standing,
                    declarations[name],
                    moments,
                    steps,
                    lambda what, done, of, name=name, bar=bar: bar.update(f"{name}: {what} {done}/{of}"),
                )
            )
        for life in reports[-1].lives:
            console.print(f"  {name} {life.name:10} {reports[-1].metric} {life.value:.4f}  {life.trainings} trainings")
    console.print(f"report: [bold]{write_report(place, reports)}[/]")


@app.command()
def demo(
    home: Annotated[Path | None, typer.Option(help="Where it lives; default: demo/ in the home. Begun anew.")] = None,
) -> None:
    """Let the world change and somebody deploy a bad model, and watch both being made good."""
    from dagster_defs.demo import demonstrate
    from ml_assets.feeds.mischief import lose_time_on_the_way
    from ml_assets.feeds.nycflights13 import land as land_flights

    settings = _settings()
    place = (home or settings.home / "demo").absolute()
    if place.exists() and any(place.iterdir()) and not (place / "dbt_project").exists():
        raise PerennialError(f"{place} holds something that is no demonstration; name another folder with --home")
    model = next(name for name, one in _declared(settings, None).items() if one.retraining.drift)
    os.environ["PERENNIAL_HOME"] = str(place)
    seen: set[Path] = set()

    def land_true(folder: Path, moment: datetime) -> None:
        land_flights(folder, moment)
        seen.update(folder.glob("*/arrivals/*.csv"))

    def land_changed(folder: Path, moment: datetime) -> None:
        land_flights(folder, moment)
        lose_time_on_the_way(folder, seen)

    made_good = demonstrate(
        settings.model_copy(update={"home": place}),
        model,
        land_true,
        land_changed,
        _moment("2013-02-03"),
        lambda line: console.print(line, soft_wrap=True),
    )
    if not made_good:
        raise PerennialError(f"not everything was made good; see {place / 'runs.log'}")


def _overall(scores: Any) -> dict[str, dict[str, float]]:
    """Subject -> metric -> value over everything that was judged."""
    found: dict[str, dict[str, float]] = {}
    for score in scores:
        if score.slice_name == "overall":
            found.setdefault(score.subject, {})[score.metric] = score.value
    return found
