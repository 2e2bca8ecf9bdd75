"""The status for a person.

What belongs here: its lines on the terminal. What does not: any figure (`status.py`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from rich.console import Console

from dagster_defs.commands.tables import scores_table
from dagster_defs.levels import name_lateness
from ml_assets.moments import in_utc, moment_of, words_of


def _moment(value: Any) -> str:
    """To the minute, UTC."""
    moment = value if isinstance(value, datetime) else moment_of(str(value))
    return f"{in_utc(moment):%Y-%m-%d %H:%M} UTC"


def show_status(answer: dict[str, Any], console: Console) -> None:
    """The same for a person."""
    checks = answer["checks"]
    if answer["watermark"] is None:
        console.print(f"\n[bold]Data[/] {answer['next']}")
    else:
        known = _moment(answer["watermark"])
        console.print(f"\n[bold]Data[/] known through {known}, {answer['tables']} tables published")
    if len(answer["domains"]) > 1:
        for name, domain in answer["domains"].items():
            known = f"known through {_moment(domain['watermark'])}" if domain["watermark"] else "no data yet"
            console.print(f"  {name}: {known}")
    if answer["rows"]:
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
        without = "has no champion yet" + ("" if model["decisions"] else ": there are no decisions to learn from")
        _show_model(name, model, console, "its champion is not known" if answer["registry"] else without)


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
            f"  live: {model['metric']} {live['value']:.4f} over {live['decisions']:,} predictions of its own"
            f" of {live['days']} days whose outcome is known"
        )
    elif model["champion"] is not None:
        console.print("  live: the outcome of none of its own predictions is known yet")
    _show_service(model["service"], console)
    _show_honesty(model, console)
    if model["in_shadow"]:
        shadow = model["in_shadow"]
        console.print(
            f"  in shadow: version {shadow['version']} answers beside it from {_moment(shadow['since'])} until"
            f" {_moment(shadow['until'])}; {shadow['answers']:,} decisions answered"
        )
        if shadow["missed"]:
            console.print(f"    [red]it has not answered {shadow['missed']:,} that the champion has[/]", soft_wrap=True)
        if shadow["problem"]:
            console.print(f"    [red]it cannot answer: {shadow['problem']}[/]", soft_wrap=True)
    last = model["last_decision"]
    if last:
        when = f"as of {_moment(last['as_of'])}" if last["as_of"] else f"decided at {_moment(last['decided_at'])}"
        console.print(
            f"  last decision: {last['kind']} of version {last['version']}, [bold]{last['verdict']}[/], {when}"
        )
        for reason in last["reasons"]:
            console.print(f"    [dim]- {reason}[/]", soft_wrap=True)


def _show_honesty(model: dict[str, Any], console: Console) -> None:
    """What may be wrong with the figures, the records and the declaration themselves."""
    if model["skew"] and model["skew"]["compared"]:
        colour = "red" if model["skew"]["differing"] else "dim"
        console.print(f"  [{colour}]skew[/] {model['skew']['text']}", soft_wrap=True)
    for text in model["unreadable"]:
        console.print(f"  [red]unreadable record[/] {text}", soft_wrap=True)
    for text in model["cannot_fire"]:
        console.print(f"  [yellow]can never fire[/] {text}", soft_wrap=True)


def _show_service(service: dict[str, Any], console: Console) -> None:
    promised = f" ({service['predictions_due']} promised)" if service["predictions_due"] else ""
    if service["is_overdue"]:
        since = _moment(service["waiting_since"])
        console.print(f"  [red]overdue[/] what landed at {since} has no predictions yet{promised}", soft_wrap=True)
    elif service["last_waited_seconds"] is not None:
        waited = words_of(timedelta(seconds=service["last_waited_seconds"]))
        console.print(f"  service: predictions stood {waited} after the last landing{promised}", soft_wrap=True)
