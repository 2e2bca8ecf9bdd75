"""The command `perennial`: thin, and at the top of the house.

What belongs here: words in, words out. What does not: anything that a sensor or the UI would need as well.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from dagster_defs.settings import PROJECT_ROOT, Settings
from ml_assets.errors import PerennialError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="From a raw file to a model in production and back.")
console = Console(highlight=False)


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


def _land(settings: Settings, through: str) -> None:
    from ml_assets.feeds.nycflights13 import land as land_flights
    from ml_assets.feeds.nycflights13 import parse_through

    with console.status(f"landing what was known through {through}") as status:
        report = land_flights(
            settings.landing,
            parse_through(through),
            progress=lambda label, done, total: status.update(f"landing {label} {done}/{total}"),
        )
    console.print(f"[green]landed[/] {report.note}")


@app.command()
def land(
    through: Annotated[str, typer.Option(help="A date (its whole day) or a timestamp; UTC unless it says otherwise.")],
) -> None:
    """Write to the landing folder what had become known of the flights of 2013 by then; running again adds nothing."""
    _land(_settings(), through)


@app.command()
def run(
    through: Annotated[str, typer.Option(help="Train on what was known through this date.")] = "2013-10-31",
    live_days: Annotated[int, typer.Option(help="Days that then arrive and are predicted by the champion; 0 for none.", min=0, max=60)] = 7,
) -> None:
    """Land the flights, run the whole graph, let some days arrive, and say what happened."""
    from dagster_defs.definitions import REFRESH_JOB, SCORE_JOB, build_definitions
    from dagster_defs.running import instance_of

    began = time.monotonic()
    settings = _settings()
    _land(settings, through)
    with console.status("reading the dbt project"):
        definitions = build_definitions(settings)
    with instance_of(settings) as instance:
        _run_job(definitions, REFRESH_JOB, instance, "raw files to features, models, predictions")
        if live_days:
            from ml_assets.feeds.nycflights13 import parse_through

            later = parse_through(through) + timedelta(days=live_days)
            _land(settings, later.isoformat())
            _run_job(definitions, SCORE_JOB, instance, f"{live_days} more days arrive and are predicted")
    _print_status(_status(settings))
    console.print(f"\nDone in {time.monotonic() - began:.0f} s. Next: [bold]make up[/] for the Dagster UI, [bold]perennial status[/] at any time.")


def _run_job(definitions: Any, job: str, instance: Any, title: str) -> None:
    from dagster_defs.running import run_job

    began = time.monotonic()
    count = 0
    with console.status(title) as status:

        def report(line: str) -> None:
            nonlocal count
            count += 1
            if "/" in line and not line.startswith("FAILED"):
                console.print(f"  [green]made[/] {line} [dim]after {time.monotonic() - began:.0f} s[/]")
            status.update(f"{title}: {count} assets, {line}")

        run_job(definitions, job, instance, report)
    console.print(f"[green]done[/] {title}: {count} assets in {time.monotonic() - began:.0f} s")


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
    os.execv(dagster, [dagster, "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)])


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """How far the data go, who is champion and how good, the last decision and why, and whether the checks hold."""
    answer = _status(_settings())
    if as_json:
        typer.echo(json.dumps(answer, indent=2, default=str))
    else:
        _print_status(answer)


@app.command()
def rollback(
    model: Annotated[str, typer.Argument(help="Name of a declared model.")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the decision log.")] = "asked for by hand",
) -> None:
    """Put the previous champion back."""
    from dagster_defs.resources import build_home
    from ml_assets import lifecycle

    home = build_home(_settings())
    result = lifecycle.rollback(home.registry, home.decision_log, model, now=home.now, reason=reason)
    console.print(f"{model}: version {result.champion.version} is champion again, version {result.previous.version} is not.")


@app.command()
def decisions(model: Annotated[str | None, typer.Argument(help="Only of this model.")] = None) -> None:
    """Every decision about a model, oldest first."""
    from dagster_defs.resources import build_home

    table = Table(box=None, header_style="bold")
    for heading in ("#", "as of", "model", "kind", "verdict", "version"):
        table.add_column(heading)
    for decision in build_home(_settings()).decision_log.read():
        if model in (None, decision.model):
            table.add_row(str(decision.sequence), str(decision.as_of), decision.model, decision.kind, decision.verdict, str(decision.version))
    console.print(table)


@app.command()
def backtest(
    model: Annotated[str | None, typer.Argument(help="Only this model.")] = None,
    every: Annotated[int, typer.Option(help="Days between two trainings.", min=1)] = 7,
    through: Annotated[str | None, typer.Option(help="Last moment judged; default: all that is known.")] = None,
) -> None:
    """How a model would have done, retrained again and again on what was known, with its baselines beside it."""
    from dagster_defs.manifest import manifest_path
    from dagster_defs.resources import build_home
    from ml_assets import lifecycle
    from ml_assets.declaration import read_declarations
    from ml_assets.feeds.nycflights13 import parse_through

    settings = _settings()
    home = build_home(settings)
    declarations = read_declarations(manifest_path(settings))
    for name in [model] if model else list(declarations):
        if name not in declarations:
            raise PerennialError(f"no model {name} is declared; declared are {', '.join(declarations)}")
        with console.status(f"{name}: backtest") as progress:
            result = lifecycle.run_backtest(
                home.lake,
                declarations[name],
                every=timedelta(days=every),
                through=parse_through(through) if through else None,
                progress=lambda what, done, of: progress.update(f"{name}: {what} {done}/{of}"),
            )
        console.print(f"[bold]{name}[/], retrained every {every} days")
        console.print(_scores_table(result.scores))


def _scores_table(scores: Any) -> Table:
    frame = scores if hasattr(scores, "columns") else scores.to_pandas()
    frame = frame[frame["slice_name"] == "all"] if "slice_name" in frame else frame
    table = Table(box=None, header_style="bold")
    metrics = list(dict.fromkeys(frame["metric"]))
    table.add_column("")
    for metric in metrics:
        table.add_column(metric, justify="right")
    for subject, rows in frame.groupby("subject", sort=False):
        values = dict(zip(rows["metric"], rows["value"], strict=True))
        table.add_row(str(subject), *[f"{values[metric]:.4f}" if metric in values else "" for metric in metrics])
    return table


def _status(settings: Settings) -> dict[str, Any]:
    """All that `status` says, as plain values."""
    from dagster_defs.manifest import manifest_path
    from dagster_defs.resources import build_home
    from ml_assets.declaration import read_declarations

    home = build_home(settings)
    published = set(home.lake.tables()) if (settings.lake / "catalog.jsonl").exists() else set()
    answer: dict[str, Any] = {"home": str(settings.home), "watermark": None, "tables": len(published), "models": {}, "checks": _checks(settings)}
    if "mon_data__health" in published:
        health = home.lake.read("mon_data__health").to_pandas()
        answer["watermark"] = health["last_known_at"].max()
        answer["rows"] = {
            name: int(health[name].sum()) for name in ("landed_rows", "staged_rows", "quarantined_rows", "rejected_files")
        }
    performance = home.lake.read("mon_model__performance").to_pandas() if "mon_model__performance" in published else None
    for name, declaration in read_declarations(manifest_path(settings)).items():
        champion = home.registry.champion(name)
        last = home.decision_log.last(name)
        answer["models"][name] = {
            "champion": champion.version if champion else None,
            "trained_through": champion.trained_through if champion else None,
            "training_rows": champion.training_rows if champion else None,
            "judged": _judged(home, name, champion.version) if champion else {},
            "metric": declaration.evaluation.metric,
            "live": _live(performance, name, declaration.evaluation.metric),
            "last_decision": {
                "kind": last.kind,
                "verdict": last.verdict,
                "version": last.version,
                "as_of": last.as_of,
                "decided_at": last.decided_at,
                "reasons": [reason.text if hasattr(reason, "text") else reason["text"] for reason in last.reasons],
            }
            if last
            else None,
        }
    return answer


def _judged(home: Any, model: str, version: int) -> dict[str, dict[str, float]]:
    """Subject -> metric -> value of the evaluation that made this version champion."""
    scores = home.lake.read_evaluations(model).to_pandas()
    scores = scores[(scores["version"] == version) & (scores["slice_name"] == "all")]
    return {
        str(subject): {str(row.metric): float(row.value) for row in rows.itertuples()}
        for subject, rows in scores.groupby("subject", sort=False)
    }


def _live(performance: Any, model: str, metric: str) -> dict[str, Any] | None:
    """The declared metric over the predictions whose outcome is known, weighted by decisions."""
    if performance is None:
        return None
    rows = performance[(performance["model"] == model) & (performance["slice_name"] == "all") & (performance["metric"] == metric)]
    if rows.empty:
        return None
    return {
        "days": len(rows),
        "decisions": int(rows["decisions"].sum()),
        "value": float((rows["value"] * rows["decisions"]).sum() / rows["decisions"].sum()),
    }


def _checks(settings: Settings) -> dict[str, Any]:
    path = settings.lake / "checks.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {
        "passed": sum(line["status"] == "pass" for line in lines),
        "warned": [line["name"] for line in lines if line["status"] == "warn"],
        "failed": [line["name"] for line in lines if line["status"] not in ("pass", "warn")],
    }


def _print_status(answer: dict[str, Any]) -> None:
    checks = answer["checks"]
    console.print(f"\n[bold]Data[/] known through {answer['watermark'] or 'nothing: run perennial land, then dbt build'}, {answer['tables']} tables published")
    if "rows" in answer:
        rows = answer["rows"]
        console.print(
            f"  {rows['landed_rows']:,} rows landed = {rows['staged_rows']:,} staged + {rows['quarantined_rows']:,} quarantined; {rows['rejected_files']} files rejected"
        )
    state = f"[red]{len(checks['failed'])} failed: {', '.join(checks['failed'])}[/]" if checks["failed"] else "[green]none failed[/]"
    console.print(f"  checks: {checks['passed']} passed, {len(checks['warned'])} warned, {state}")
    for name, model in answer["models"].items():
        if model["champion"] is None:
            console.print(f"\n[bold]{name}[/] has no champion yet")
        else:
            console.print(f"\n[bold]{name}[/] version {model['champion']}, {model['training_rows']:,} rows, labels known through {model['trained_through']}")
            table = Table(box=None, header_style="dim", padding=(0, 2))
            metrics = list(dict.fromkeys(metric for values in model["judged"].values() for metric in values))
            table.add_column("  judged on the newest window")
            for metric in metrics:
                table.add_column(metric, justify="right")
            for subject, values in model["judged"].items():
                table.add_row(f"  {subject}", *[f"{values[metric]:.4f}" if metric in values else "" for metric in metrics])
            console.print(table)
        if model["live"]:
            live = model["live"]
            console.print(f"  live: {model['metric']} {live['value']:.4f} over {live['decisions']:,} predictions of {live['days']} days whose outcome is known")
        last = model["last_decision"]
        if last:
            console.print(f"  last decision: {last['kind']} of version {last['version']}, [bold]{last['verdict']}[/], as of {last['as_of']}")
            for reason in last["reasons"]:
                console.print(f"    [dim]- {reason}[/]", soft_wrap=True)


