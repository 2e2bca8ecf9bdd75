"""What `perennial status` says: gathered as plain values, then shown.

What belongs here: reading what stands. What does not: changing anything, or computing what a table already holds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from rich.console import Console

from dagster_defs.assets.freshness import last_made, levels_of, states_now
from dagster_defs.automation.lateness import name_lateness
from dagster_defs.commands.tables import scores_table
from dagster_defs.definitions import build_definitions
from dagster_defs.landing_folder import landing_times
from dagster_defs.manifest import manifest_path
from dagster_defs.resources import Home, build_home
from dagster_defs.running import instance_of
from dagster_defs.settings import Settings
from ml_assets.deciding.shadow import challenger_in_shadow
from ml_assets.declaration.domains import DomainTables, landing_domains
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.declaration.reader import read_declarations
from ml_assets.lake.snapshot import Snapshot
from ml_assets.moments import words_of
from ml_assets.observing.alerts import Incident
from ml_assets.observing.incidents import all_late_tables, allowed_silence, in_words
from ml_assets.observing.lateness import find_lateness
from ml_assets.observing.shadow import gather_shadow
from ml_assets.registry.versions import last_seen

OVERALL = "overall"
_COUNTED = ("landed_rows", "staged_rows", "quarantined_rows", "rejected_files")


def gather_status(settings: Settings) -> dict[str, Any]:
    """All that the status says, as values that JSON can hold (moments as text)."""
    home = build_home(settings)
    lake = home.lake.open()
    published = set(lake.tables())
    answer: dict[str, Any] = {
        "home": str(settings.home),
        "watermark": None,
        "tables": len(published),
        "models": {},
        "checks": _checks(settings),
        "budget": spending.text if (spending := home.spending()) else None,
        "late": _late(settings, home.now()),
        "incidents": [{"key": one.key, "since": one.at, "title": one.title} for one in _open(home)],
    }
    manifest = json.loads(manifest_path(settings).read_text())
    domains = landing_domains(manifest)
    answer["domains"] = _domains(lake, domains)
    if answer["domains"]:
        marks = [one["watermark"] for one in answer["domains"].values() if one["watermark"] is not None]
        answer["watermark"] = max(marks, default=None)
        answer["rows"] = {name: sum(one["rows"][name] for one in answer["domains"].values()) for name in _COUNTED}
    late = all_late_tables(lake, domains, allowed_silence(manifest))
    answer["late_feeds"] = [f"{table.source}: {in_words(table)}" for table in late]
    answer["registry"] = home.registry.trouble()
    landed = landing_times(settings.landing)
    for name, declaration in read_declarations(manifest).items():
        standing = last_seen(home.registry.root, name) if answer["registry"] else home.registry.standing(name)
        champion = standing.champion if standing else None
        metric = declaration.evaluation.metric
        answer["models"][name] = {
            "champion": champion.version if champion else None,
            "trained_through": champion.trained_through if champion else None,
            "training_rows": champion.training_rows if champion else None,
            "judged": _judged(home, name, champion.version) if champion else {},
            "metric": metric,
            "live": _live(lake, declaration, metric),
            "in_shadow": None if answer["registry"] else _in_shadow(home, declaration),
            "last_decision": _last_decision(home, name),
            "service": _service(home, declaration, landed),
        }
    answer["next"] = _next(answer)
    return answer


def _next(answer: dict[str, Any]) -> str | None:
    """What a home needs that has not come far yet, or has lost its registry; None if nothing."""
    if answer["watermark"] is None:
        return "no data published yet: perennial land, then dbt build, or make run"
    if answer["registry"]:
        return "nothing is trained or promoted until the registry can be read; the champions last seen predict"
    bare = [name for name, model in answer["models"].items() if model["champion"] is None]
    return f"no champion yet of {', '.join(bare)}: perennial run, or the job refresh" if bare else None


def _open(home: Home) -> list[Incident]:
    return list(home.alerts.open_incidents().values())


def _late(settings: Settings, now: datetime) -> list[dict[str, Any]]:
    """What is late, by cause: told from when it was last made, so it is true whether or not the daemon runs."""
    if not (settings.dagster_home / "dagster.yaml").exists():
        return []
    levels = levels_of(build_definitions(settings).resolve_all_asset_specs())
    with instance_of(settings) as instance:
        made = last_made(instance, levels.late_after)
    return [
        {
            "assets": [
                {"asset": asset, "last_made": made[asset], "late_after": words_of(levels.late_after[asset])}
                for asset in lateness.first
            ],
            "behind": list(lateness.behind),
        }
        for lateness in find_lateness(states_now(levels, made, now), levels.parents)
    ]


def _service(home: Home, declaration: ModelDeclaration, landed: list[datetime]) -> dict[str, Any]:
    """What was promised of the predictions, how the last landing fared, and what waits."""
    due, now = declaration.service.predictions_due, home.now()
    last = home.due.last_answer(declaration.name)
    since = home.due.waiting_since(declaration.name, landed)
    return {
        "predictions_due": words_of(due) if due else None,
        "last_waited_seconds": last.waited.total_seconds() if last and last.waited is not None else None,
        "waiting_since": since,
        "is_overdue": bool(due and since and now - since > due),
    }


def _in_shadow(home: Home, declaration: ModelDeclaration) -> dict[str, Any] | None:
    """The version that answers beside the champion, since when and until when (data time), and how far it is."""
    challenger = challenger_in_shadow(home.registry, home.decision_log, declaration)
    if challenger is None or declaration.gates.shadow is None:
        return None
    shadow = gather_shadow(home.lake.open(), home.registry, declaration, challenger)
    return {
        "version": challenger.version,
        "since": shadow.since,
        "until": shadow.since + declaration.gates.shadow,
        "outcomes": shadow.rows,
        "problem": shadow.problem,
    }


def _last_decision(home: Home, model: str) -> dict[str, Any] | None:
    last = home.decision_log.last(model)
    if last is None:
        return None
    return {
        "kind": last.kind,
        "verdict": last.verdict,
        "version": last.version,
        "as_of": last.as_of,
        "decided_at": last.decided_at,
        "reasons": [reason["text"] for reason in last.reasons],
    }


def _judged(home: Home, model: str, version: int) -> dict[str, dict[str, float]]:
    """Subject -> metric -> value of the evaluation that made this version champion."""
    scores = home.lake.read_evaluations(model).to_pandas()
    scores = scores[(scores["version"] == version) & (scores["slice_name"] == OVERALL)]
    return {
        str(subject): {str(row.metric): float(row.value) for row in rows.itertuples()}
        for subject, rows in scores.groupby("subject", sort=False)
    }


def _domains(lake: Snapshot, domains: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of each domain whose health is published: how far its facts reach, and what became of its rows."""
    published, answer = set(lake.tables()), {}
    for domain in domains:
        table = DomainTables(domain).data_health
        if table in published:
            health = lake.read(table).to_pandas()
            newest = health["last_known_at"].max()
            answer[domain] = {
                "watermark": None if pd.isna(newest) else newest,
                "rows": {name: int(health[name].sum()) for name in _COUNTED},
            }
    return answer


def _live(lake: Snapshot, declaration: ModelDeclaration, metric: str) -> dict[str, Any] | None:
    """The declared metric over the predictions whose outcome is known, weighted by decisions."""
    table, model = declaration.domain.tables.performance, declaration.name
    if table not in lake.tables():
        return None
    performance = lake.read(table).to_pandas()
    rows = performance[
        (performance["model"] == model) & (performance["slice_name"] == OVERALL) & (performance["metric"] == metric)
    ]
    if rows.empty:
        return None
    weights = [int(number) for number in rows["decisions"]]
    total = sum(value * weight for value, weight in zip(rows["value"], weights, strict=True))
    return {"days": len(weights), "decisions": sum(weights), "value": float(total / sum(weights))}


def _checks(settings: Settings) -> dict[str, Any]:
    path = settings.lake / "checks.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {
        "passed": sum(line["status"] == "pass" for line in lines),
        "warned": [line["name"] for line in lines if line["status"] == "warn"],
        "failed": [line["name"] for line in lines if line["status"] not in ("pass", "warn")],
    }


def _moment(value: Any) -> str:
    """To the minute, UTC."""
    return f"{pd.Timestamp(value):%Y-%m-%d %H:%M} UTC"


def show_status(answer: dict[str, Any], console: Console) -> None:
    """The same for a person."""
    checks = answer["checks"]
    if answer["watermark"] is None:
        console.print(f"\n[bold]Data[/] {answer['next']}")
    else:
        known = _moment(answer["watermark"])
        console.print(f"\n[bold]Data[/] known through {known}, {answer['tables']} tables published")
    if "rows" in answer:
        rows = answer["rows"]
        console.print(
            f"  {rows['landed_rows']:,} rows landed = {rows['staged_rows']:,} staged"
            f" + {rows['quarantined_rows']:,} quarantined; {rows['rejected_files']} files rejected"
        )
    failed = checks["failed"]
    state = f"[red]{len(failed)} failed: {', '.join(failed)}[/]" if failed else "[green]none failed[/]"
    console.print(f"  checks: {checks['passed']} passed, {len(checks['warned'])} warned, {state}")
    for late in answer["late"]:
        first = late["assets"][0]
        named = name_lateness([one["asset"] for one in late["assets"]], late["behind"])
        made = _moment(first["last_made"])
        console.print(f"  [red]late[/] {named}: last made {made}, {first['late_after']} may pass", soft_wrap=True)
    for text in answer["late_feeds"]:
        console.print(f"  [red]late feed[/] {text}", soft_wrap=True)
    if answer["registry"]:
        console.print(f"  [red]registry[/] {answer['registry']}; {answer['next']}", soft_wrap=True)
    for incident in answer["incidents"]:
        console.print(f"  [red]open since {_moment(incident['since'])}[/] {incident['title']}", soft_wrap=True)
    for name, model in answer["models"].items():
        _show_model(name, model, console, "its champion is not known" if answer["registry"] else "has no champion yet")


def _show_model(name: str, model: dict[str, Any], console: Console, without: str) -> None:
    if model["champion"] is None:
        console.print(f"\n[bold]{name}[/] {without}")
    else:
        console.print(
            f"\n[bold]{name}[/] version {model['champion']}, {model['training_rows']:,} rows,"
            f" labels known through {_moment(model['trained_through'])}"
        )
        console.print(scores_table("judged on the newest window", model["judged"]))
    if model["live"]:
        live = model["live"]
        console.print(
            f"  live: {model['metric']} {live['value']:.4f} over {live['decisions']:,} predictions"
            f" of {live['days']} days whose outcome is known"
        )
    _show_service(model["service"], console)
    if model["in_shadow"]:
        shadow = model["in_shadow"]
        console.print(
            f"  in shadow: version {shadow['version']} answers beside it from {_moment(shadow['since'])} until"
            f" {_moment(shadow['until'])}; {shadow['outcomes']:,} outcomes of that are known"
        )
        if shadow["problem"]:
            console.print(f"    [red]it cannot answer: {shadow['problem']}[/]", soft_wrap=True)
    last = model["last_decision"]
    if last:
        console.print(
            f"  last decision: {last['kind']} of version {last['version']}, [bold]{last['verdict']}[/],"
            f" as of {_moment(last['as_of'])}"
        )
        for reason in last["reasons"]:
            console.print(f"    [dim]- {reason}[/]", soft_wrap=True)


def prediction_counts(
    settings: Settings, declarations: Sequence[ModelDeclaration], start: datetime, end: datetime
) -> dict[str, tuple[int, int]]:
    """Of each model, how many decisions there were from `start` through `end`, and how many have a prediction."""
    lake = build_home(settings).lake.open()
    answer: dict[str, tuple[int, int]] = {}
    for declaration in declarations:
        decided = lake.read(declaration.training_set, [declaration.decision_at])[declaration.decision_at].to_pandas()
        within = decided.between(pd.Timestamp(start).tz_localize(None), pd.Timestamp(end).tz_localize(None))
        dates = [day for day in lake.prediction_dates(declaration.name) if start.date() <= day <= end.date()]
        made = lake.read_predictions(declaration.name, dates, ["decision_at"])["decision_at"].to_pandas()
        made = made[made.between(pd.Timestamp(start).tz_localize(None), pd.Timestamp(end).tz_localize(None))]
        answer[declaration.name] = (int(within.sum()), len(made))
    return answer


def _show_service(service: dict[str, Any], console: Console) -> None:
    promised = f" ({service['predictions_due']} promised)" if service["predictions_due"] else ""
    if service["is_overdue"]:
        since = _moment(service["waiting_since"])
        console.print(f"  [red]overdue[/] what landed at {since} has no predictions yet{promised}", soft_wrap=True)
    elif service["last_waited_seconds"] is not None:
        waited = words_of(timedelta(seconds=service["last_waited_seconds"]))
        console.print(f"  service: predictions stood {waited} after the last landing{promised}", soft_wrap=True)
